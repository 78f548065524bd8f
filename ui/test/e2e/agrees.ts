// Whether a page shows what was posted: where the devices are, no more and no less.

import assert from "node:assert/strict";
import type { Frame, Page } from "playwright-core";
import { isInside } from "../../../clients/js/src/box.ts";
import type { Box, Position } from "../../../clients/js/src/index.ts";
import { lines } from "../../../clients/js/test/truth.ts";
import type { Truth } from "../../../clients/js/test/truth.ts";
import { until } from "../../../clients/js/test/wait.ts";

/** Pixels by which a place may be drawn beside the view's edge, or its box. */
const EDGE = 1;

/** What a page knows and draws. */
async function look(page: Page | Frame) {
  return page.evaluate(() => {
    const { map, fleet } = window.processorMap!, { clientWidth: width, clientHeight: height } = document.querySelector("#map")!;
    return { box: map!.box(), positions: [...fleet.devices.values()].map(({ fix }) => JSON.parse(JSON.stringify(fix.position)) as Position), drawn: [...map!.drawn()], width, height };
  });
}

type Seen = Awaited<ReturnType<typeof look>>;

/** What a page has in a box, against what was posted; "" if that is the same. */
function differences({ box, positions, drawn }: Seen, truth: Truth, within: Box): string {
  const inside = new Map(positions.filter((position) => isInside(within, position)).map((position) => [position.device_id, position]));
  const has = new Set(lines(inside)), wanted = new Set(truth.of(within));
  const ids = new Set(drawn.map(([id]) => id));
  const few = (name: string, all: string[]) => (all.length === 0 ? "" : `${all.length} ${name}: ${all.slice(0, 5).join(" | ")}\n`);
  const text = few("missing", [...wanted].filter((line) => !has.has(line))) + few("too many", [...has].filter((line) => !wanted.has(line))) +
    few("known but not drawn", [...inside.keys()].filter((id) => !ids.has(id))) +
    few("drawn but not known", [...ids].filter((id) => !positions.some((position) => position.device_id === id)));
  return text && `${text}view ${box.join(" ")}, ${positions.length} known`;
}

/** Who is drawn in the view and should not be, or should and is not; "" if all are where they belong. */
function misplaced({ box, drawn, width, height }: Seen, truth: Truth): string {
  const should = new Set(idsIn(truth, box));
  const reaches = (margin: number, { x, y }: { x: number; y: number }) => x >= -margin && x <= width + margin && y >= -margin && y <= height + margin;
  const wrong = drawn.filter(([id, place]) => (should.has(id) ? !reaches(EDGE, place) && !isBeyond(truth, id) : reaches(-EDGE, place)));
  return wrong.map(([id, { x, y }]) => `${id} is ${should.has(id) ? "" : "not "}inside ${box.join(" ")} and drawn at ${x} ${y}`).join("\n");
}

function idsIn(truth: Truth, box: Box): string[] {
  return [...truth.devices.values()].filter((position) => isInside(box, position)).map(({ device_id }) => device_id);
}

async function untilSame(page: Page | Frame, fault: (seen: Seen) => string): Promise<Seen> {
  let last = "";
  const same = async () => {
    const seen = await look(page);
    last = fault(seen);
    return last === "" ? seen : undefined;
  };
  return until("the page to show what was posted", same).catch((error: Error) => assert.fail(`${error.message}\n${last}`));
}

/** Waits until the page shows what was posted of its view, or of another box. */
export async function agrees(page: Page | Frame, truth: Truth, within?: Box): Promise<void> {
  await untilSame(page, (seen) => differences(seen, truth, within ?? seen.box));
}

/** The same, and that those inside the view, and no others, are drawn on it: how many. For a page on which nothing slides, upright. */
export async function showsExactly(page: Page, truth: Truth): Promise<number> {
  // What is drawn fits the view as soon as the map has been painted there.
  const { box } = await untilSame(page, (seen) => differences(seen, truth, seen.box) || misplaced(seen, truth));
  return idsIn(truth, box).length;
}

/** The map ends before the poles do. */
function isBeyond(truth: Truth, id: string): boolean {
  return Math.abs(truth.devices.get(id)!.latitude) > 85.05;
}
