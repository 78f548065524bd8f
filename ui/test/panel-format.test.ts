// How numbers, times and places are written.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, compass, coordinates, distance, duration, fullTime, heading, height, number, plural, speed } from "../src/format.ts";

const all = (made: readonly string[], wanted: readonly string[]) => assert.deepEqual(made, wanted);

test("lengths of time have one unit, rounded down", () => {
  all([-5, 0, 999, 1000, 59_999, 60_000, 3_599_999, 3_600_000, 48 * 3_600_000 - 1, 48 * 3_600_000, 4e11].map(duration),
    ["0 s", "0 s", "0 s", "1 s", "59 s", "1 min", "59 min", "1 h", "47 h", "2 d", "4,629 d"]);
  all([-1, 999, 1000, 12_345].map(ago), ["just now", "just now", "1 s ago", "12 s ago"]);
});

test("a time in full has its date, seconds and zone; one that is none is unknown", () => {
  assert.match(fullTime(Date.UTC(2026, 0, 2, 12, 4, 5)), /^2 Jan 2026.*\d\d:04:05 \S+$/);
  all([NaN, Infinity, 9e15].map(fullTime), ["unknown", "unknown", "unknown"]);
});

test("speeds, distances and heights in both units", () => {
  all([0, 0.01, 1.5, 2.7639, 15, 340].map((value) => speed(value, "metric")), ["0 km/h", "0 km/h", "5.4 km/h", "10 km/h", "54 km/h", "1,224 km/h"]);
  all([0, 2, 15].map((value) => speed(value, "imperial")), ["0 mph", "4.5 mph", "34 mph"]);
  all([0, 999.4, 999.6, 1234, 9960, 1_234_567].map((value) => distance(value, "metric")), ["0 m", "999 m", "1.0 km", "1.2 km", "10 km", "1,235 km"]);
  all([100, 160, 161, 16_093.44].map((value) => distance(value, "imperial")), ["328 ft", "525 ft", "0.1 mi", "10 mi"]);
  all([height(-3.4, "metric"), height(11_000, "metric"), height(100, "imperial")], ["-3 m", "11,000 m", "328 ft"]);
});

test("places, headings, counts", () => {
  assert.equal(coordinates(52.5200081, -0.1), "52.520008, -0.100000");
  all([0, 11.24, 11.26, 47, 180, 348.8, 359.9, 360, -90, 720].map(compass), ["N", "N", "NNE", "NE", "S", "N", "N", "N", "W", "N"]);
  all([heading(47.4), heading(359.7), heading(-90)], ["NE, 47°", "N, 0°", "W, 270°"]);
  all([number(12_345.4), plural(1, "device"), plural(1200, "device"), plural(0, "bus", "buses")], ["12,345", "1 device", "1,200 devices", "0 buses"]);
});
