// Arrow or dot, and which way an arrow points: the map, which works it out as fixes come, and the list say the same of every device.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Device, Fix } from "../src/device.ts";
import { DeviceBuffer, HEADING, STANDS, STRIDE } from "../src/map/buffer.ts";
import { movingTo } from "../src/panel/look.ts";

const START = 1_700_000_000_000;

/** Fixes of a device that says so much of itself, and has gone east. */
const cases = [undefined, 0, 0.5, 0.51, 20].flatMap((speed) => [undefined, 0, 350].flatMap((heading) =>
  ["new", "stays", "noise", "crawls", "drives"].map((way) => ({ speed, heading, way }))));
/** Degrees of longitude at the equator, and ms. */
const ways: Record<string, [number, number]> = { stays: [0, 1000], noise: [1e-5, 1000], crawls: [1e-4, 3_600_000], drives: [1e-4, 1000] };

function fix(longitude: number, time: number, more: object): Fix {
  return { position: { device_id: "a", timestamp: "", latitude: 0, longitude, ...more }, at: START + time, came: time };
}

function degrees(buffer: DeviceBuffer): number | undefined {
  const turn = buffer.floats[buffer.slot("a")! * STRIDE + HEADING]!;
  return turn === STANDS ? undefined : Math.round((turn * 180) / Math.PI);
}

for (const { speed, heading, way } of cases) {
  test(`speed ${speed}, heading ${heading}, ${way}`, () => {
    const more = { ...(speed === undefined ? {} : { speed }), ...(heading === undefined ? {} : { heading }) };
    const device: Device = { id: "a", fix: fix(10, 0, more), before: undefined, events: new Set() };
    const sees = new DeviceBuffer(0, START), meets = new DeviceBuffer(0, START);
    sees.put(device, 1, 0, false, 1);
    const [east, ms] = ways[way] ?? [0, 0];
    if (way !== "new") {
      device.before = device.fix;
      device.fix = fix(10 + east, ms, more);
      sees.put(device, 1, ms, false, 1);
    }
    meets.put(device, 1, ms, false, 1);
    const moves = speed === undefined ? way === "drives" : speed > 0.5, knows = heading !== undefined || way === "drives" || way === "crawls";
    const expected = moves && knows ? heading ?? 90 : undefined, listed = movingTo(device);
    assert.deepEqual([degrees(sees), degrees(meets), listed === undefined ? undefined : Math.round(listed)], [expected, expected, expected]);
  });
}
