// Whether a page shows what was posted: where the devices are, no more and no less.

import assert from "node:assert/strict";
import type { Frame, Page } from "playwright-core";
import { isInside } from "../../../clients/js/src/box.ts";
import type { Box } from "../../../clients/js/src/index.ts";
import { lines } from "../../../clients/js/test/truth.ts";
import type { Truth } from "../../../clients/js/test/truth.ts";
import { until } from "../../../clients/js/test/wait.ts";

/** Pixels by which a place may be drawn beside the view's edge, or its box. */
const EDGE = 1;

/** What a page knows and draws. */
async function look(page: Page | Frame) {
  return page.evaluate(() => {
    const { map, fleet } = window.processorMap!, { clientWidth: width, clientHeight: height } = document.querySelector("#map")!;
    return { box: map!.box(), positions: [...fleet.devices.values()].map(({ fix }) => fix.position), drawn: [...map!.drawn()], width, height };
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

/** Waits until the page shows what was posted of its view, or of another box. */
export async function agrees(page: Page | Frame, truth: Truth, within?: Box): Promise<void> {
  let last = "";
  const same = async () => {
    const seen = await look(page);
    return (last = differences(seen, truth, within ?? seen.box)) === "";
  };
  await until("the page to show what was posted", same).catch((error: Error) => assert.fail(`${error.message}\n${last}`));
}

/** The same, and that those inside the view, and no others, are drawn on it. For a page on which nothing slides, upright. */
export async function showsExactly(page: Page, truth: Truth): Promise<number> {
  await agrees(page, truth);
  const { box, drawn, width, height } = await look(page);
  const should = new Set(truth.of(box).map((line) => line.split(" ")[0]!));
  const reaches = (margin: number, { x, y }: { x: number; y: number }) => x >= -margin && x <= width + margin && y >= -margin && y <= height + margin;
  // The map ends before the poles do.
  for (const [id, place] of drawn) {
    if (should.has(id)) assert.ok(reaches(EDGE, place) || isBeyond(truth, id), `${id} is inside ${box.join(" ")} and drawn at ${place.x} ${place.y}`);
    else assert.ok(!reaches(-EDGE, place), `${id} is not inside ${box.join(" ")} and drawn at ${place.x} ${place.y}`);
  }
  return should.size;
}

/** Where Web Mercator has no place. */
function isBeyond(truth: Truth, id: string): boolean {
  return Math.abs(truth.devices.get(id)!.latitude) > 85.05;
}
