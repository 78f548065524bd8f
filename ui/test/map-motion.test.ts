// Tests of motion: devices slide to their newest fix, never beyond it; far jumps are jumps; arrows and dots.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Device } from "../src/device.ts";
import { DeviceBuffer, HEADING, STANDS, STRIDE } from "../src/map/buffer.ts";
import { isJump, slideOf } from "../src/map/motion.ts";
import { eastward, xOf, yOf } from "../src/map/projection.ts";
import { between, random } from "./random.ts";

const START = 1_700_000_000_000;

function device(id: string, longitude: number, latitude: number, time: number, more: object = {}): Device {
  return { id, before: undefined, events: new Set(), fix: fix(id, longitude, latitude, time, more) };
}
function fix(id: string, longitude: number, latitude: number, time: number, more: object = {}) {
  return { position: { device_id: id, timestamp: "", longitude, latitude, ...more }, at: START + time, came: time };
}
function moved(one: Device, longitude: number, latitude: number, time: number, more: object = {}): Device {
  one.before = one.fix;
  one.fix = fix(one.id, longitude, latitude, time, more);
  return one;
}
const place = (buffer: DeviceBuffer, id: string, time: number) => buffer.place(buffer.slot(id)!, time, false, { x: 0, y: 0 });
const heading = (buffer: DeviceBuffer, id: string) => buffer.floats[buffer.slot(id)! * STRIDE + HEADING]!;
const RED = 0xff0000ff;

test("a device arrives at its newest fix after as long as the fix took to come, and is never ahead", () => {
  const next = random(5), buffer = new DeviceBuffer(0, START), one = device("a", 179.99, 10, 0);
  buffer.put(one, RED, 0, false, 1);
  let time = 0, ahead = 0;
  for (let step = 0; step < 200; step++) {
    const gap = between(next, 200, 15_000), from = place(buffer, "a", time + gap);
    time += gap;
    const longitude = ((one.fix.position.longitude + 0.002 + 540) % 360) - 180;
    buffer.put(moved(one, longitude, 10 + 0.001 * step, time), RED, time, false, 1);
    const there = place(buffer, "a", time);
    assert.ok(Math.abs(eastward(from.x, there.x)) <= 2 && Math.abs(there.y - from.y) <= 2, "it goes on from where it is drawn");
    const x = xOf(longitude), slide = Math.min(10_000, gap);
    const half = place(buffer, "a", time + slide / 2);
    assert.ok(Math.abs(eastward(from.x, half.x) - eastward(from.x, x) / 2) < eastward(from.x, x) * 0.001 + 2);
    for (const part of [0, 0.3, 0.9, 1, 2, 100]) ahead = Math.max(ahead, eastward(x, place(buffer, "a", time + slide * part).x));
    assert.deepEqual(place(buffer, "a", time + slide + 1), { x, y: yOf(10 + 0.001 * step) });
  }
  assert.ok(ahead <= 0, `ahead by ${ahead}`);
});

test("the time of a slide has bounds", () => {
  assert.equal(slideOf(3000), 3000);
  assert.equal(slideOf(60_000), 10_000);
  assert.equal(slideOf(0), 100);
});

test("an impossible way is a jump, and so is one longer than the screen", () => {
  assert.ok(isJump(1000, 1000));
  assert.ok(!isJump(300, 1000), "an airliner");
  assert.ok(!isJump(300, 0), "timestamps in whole seconds");
  const buffer = new DeviceBuffer(0, START), fast = device("fast", 10, 50, 0), far = device("far", 10, 50, 0);
  buffer.put(fast, RED, 0, false, 1);
  buffer.put(far, RED, 0, false, 1);
  buffer.put(moved(fast, 11, 50, 1000), RED, 1000, false, 1);
  assert.equal(place(buffer, "fast", 1000).x, xOf(11));
  buffer.put(moved(far, 10.01, 50, 60_000), RED, 60_000, false, 0.005 / 360);
  assert.equal(place(buffer, "far", 60_000).x, xOf(10.01));
});

test("reduced motion: devices are at their newest fix at once", () => {
  const buffer = new DeviceBuffer(0, START), one = device("a", 10, 50, 0);
  buffer.put(one, RED, 0, true, 1);
  buffer.put(moved(one, 10.001, 50, 1000), RED, 1000, true, 1);
  assert.equal(place(buffer, "a", 1000).x, xOf(10.001));
  assert.equal(buffer.movingUntil, 0);
});

test("a new colour does not begin the way anew", () => {
  const buffer = new DeviceBuffer(0, START), one = device("a", 10, 50, 0);
  buffer.put(one, RED, 0, false, 1);
  buffer.put(moved(one, 10.001, 50, 1000), RED, 1000, false, 1);
  const then = place(buffer, "a", 1500);
  buffer.put(one, RED + 1, 1400, false, 1);
  assert.deepEqual(place(buffer, "a", 1500), then);
});

test("how fast devices are drawn to move, and how fast they do, for a while", () => {
  const buffer = new DeviceBuffer(0, START), one = device("a", 10, 50, 0), worlds = 0.001 / 360;
  buffer.put(one, RED, 0, false, 1);
  buffer.put(moved(one, 10.001, 50, 1000), RED, 1000, false, 1);
  // It comes a second after it was there, and the next at once.
  one.fix = { ...fix("a", 10.002, 50, 2000), came: 3000 };
  buffer.put(one, RED, 3000, false, 1);
  one.fix = { ...fix("a", 10.003, 50, 3000), came: 3250 };
  buffer.put(one, RED, 3250, false, 1);
  const per = (ms: number, speed: number) => Math.round((speed * ms * 100) / worlds) / 100;
  // Of the second way, 0.875 was left.
  assert.deepEqual([per(250, buffer.fastest(3250)), per(1000, buffer.fastestOwn(3250))], [1.88, 1]);
  assert.ok(buffer.fastest(19_000) > 0);
  assert.deepEqual([buffer.fastest(40_000), buffer.fastestOwn(40_000)], [0, 0]);
});

test("two fixes that come at once are two fixes", () => {
  const buffer = new DeviceBuffer(0, START), one = device("a", 10, 50, 0);
  buffer.put(one, RED, 0, false, 1);
  buffer.put(moved(one, 10.001, 50, 1000), RED, 1000, false, 1);
  one.fix = { ...fix("a", 10.002, 50, 2000), came: 1000 };
  buffer.put(one, RED, 1000, false, 1);
  assert.equal(place(buffer, "a", 1200).x, xOf(10.002));
});

test("the first way of a device takes as long as it did, however short the page has known it; the next as long as the fix took to come", () => {
  const buffer = new DeviceBuffer(0, START), one = device("a", 10, 50, 0);
  one.fix = { ...one.fix, came: 950 };
  buffer.put(one, RED, 950, false, 1);
  buffer.put(moved(one, 10.001, 50, 1000), RED, 1000, false, 1);
  assert.deepEqual([1500, 2000].map((time) => Math.round(eastward(xOf(10), place(buffer, "a", time).x) / eastward(xOf(10), xOf(10.001)) * 100)), [50, 100]);
  one.fix = { ...fix("a", 10.002, 50, 2000), came: 1500 };
  buffer.put(one, RED, 2000, false, 1);
  assert.equal(place(buffer, "a", 2500).x, xOf(10.002));
});

test("arrow or dot", () => {
  const shape = (one: Device) => {
    const buffer = new DeviceBuffer(0, START);
    buffer.put(one, RED, 0, false, 1);
    const turn = heading(buffer, one.id);
    return turn === STANDS ? "dot" : Math.round((turn * 180) / Math.PI);
  };
  assert.equal(shape(device("a", 10, 50, 0)), "dot");
  assert.equal(shape(device("a", 10, 50, 0, { heading: 90, speed: 5 })), 90);
  assert.equal(shape(device("a", 10, 50, 0, { heading: 90, speed: 0.2 })), "dot", "it stands, whatever its compass says");
  assert.equal(shape(device("a", 10, 50, 0, { heading: 90 })), "dot", "nothing says that it moves");
  assert.equal(shape(moved(device("a", 10, 50, 0), 10.001, 50, 5000, { heading: 30 })), 30);
  assert.equal(shape(moved(device("a", 10, 50, 0), 10.001, 50, 5000)), 90, "by the way it came");
  assert.equal(shape(moved(device("a", 179.999, 0, 0), -179.999, 0, 20_000)), 90, "over the antimeridian");
  assert.equal(shape(moved(device("a", 10, 50, 0), 10, 49.999, 5000)), 180);
  assert.equal(shape(moved(device("a", 10, 50, 0), 10.00001, 50, 5000)), "dot", "noise");
  assert.equal(shape(moved(device("a", 10, 50, 0), 10.001, 50, 3_600_000)), "dot", "slower than noise");
});

test("slots are used again, the buffer grows, and what changed is handed over once", () => {
  const buffer = new DeviceBuffer(0, START);
  const sent = () => {
    let bytes = 0;
    buffer.takeDirty((first, end) => void (bytes += end - first));
    return bytes;
  };
  for (let i = 0; i < 5000; i++) buffer.put(device(`d${i}`, i / 100, 50, 0), RED, 0, false, 1);
  assert.ok(buffer.capacity >= 5000 && buffer.size === 5000);
  assert.ok(sent() >= 5000);
  assert.equal(sent(), 0);
  for (let i = 0; i < 5000; i++) assert.equal(place(buffer, `d${i}`, 0).x, xOf(i / 100));
  for (let i = 0; i < 1000; i++) buffer.remove(`d${i}`);
  for (let i = 0; i < 1000; i++) buffer.put(device(`e${i}`, -i / 100, 50, 0), RED, 0, false, 1);
  assert.equal(buffer.end, 5000);
  assert.equal(buffer.slot("d5"), undefined);
  sent();
  buffer.put(device("d3000", 1, 1, 1), RED, 1, false, 1);
  assert.equal(sent(), 64);
});

test("times stay exact however long the page is open", () => {
  const buffer = new DeviceBuffer(0, START), one = device("a", 10, 50, 0), day = 86_400_000;
  buffer.put(one, RED, 0, false, 1);
  for (let time = 3_600_000; time <= 30 * day; time += 3_600_000) buffer.renew(time);
  const time = 30 * day;
  buffer.put(moved(one, 10.001, 50, time - 1000), RED, time - 1000, false, 1);
  buffer.put(moved(one, 10.002, 50, time), RED, time, false, 1);
  const half = place(buffer, "a", time + 500), start = place(buffer, "a", time);
  assert.ok(Math.abs(eastward(start.x, half.x) - eastward(start.x, xOf(10.002)) / 2) < 10);
});

test("when something looks older next", () => {
  const buffer = new DeviceBuffer(0, START);
  assert.equal(buffer.nextAging(START, 60_000, 600_000), Infinity);
  buffer.put(device("a", 10, 50, 0), RED, 0, false, 1);
  assert.equal(buffer.nextAging(START + 20_000, 60_000, 600_000), 40_000);
  assert.equal(buffer.nextAging(START + 70_000, 60_000, 600_000), 0);
  assert.equal(buffer.nextAging(START + 200_000, 60_000, 600_000), 400_000);
  assert.equal(buffer.nextAging(START + 700_000, 60_000, 600_000), Infinity);
});
