// The list without a page: which devices are in it, in which order, which of its rows can be seen; what a search finds.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Box } from "../../clients/js/src/index.ts";
import type { Device } from "../src/device.ts";
import { isInside } from "../../clients/js/src/box.ts";
import { metresBetween, middle, Sorter, sortByNumber } from "../src/panel/order.ts";
import { find } from "../src/panel/search.ts";
import { moveBy, rowsOnPage, scrollTo } from "../src/panel/window.ts";

interface Made {
  at?: number;
  longitude?: number;
  latitude?: number;
  attributes?: Record<string, unknown>;
}

function device(id: string, { at = 0, longitude = 0, latitude = 0, attributes }: Made = {}): Device {
  const position = { device_id: id, timestamp: "2026-01-02T03:04:05.678Z", longitude, latitude, ...(attributes ? { attributes } : {}) };
  return { id, fix: { position, at, came: 0 }, before: undefined, events: new Set() };
}

const ids = (devices: readonly Device[]) => devices.map(({ id }) => id).join(" ");

test("a box holds its edges, also across the antimeridian", () => {
  const box: Box = [170, -10, -170, 10];
  assert.deepEqual([[180, 0], [-180, 0], [170, 10], [-170, -10], [169, 0], [-169, 0], [0, 0], [175, 11]].map(([x, y]) => isInside(box, device("", { longitude: x!, latitude: y! }).fix.position)),
    [true, true, true, true, false, false, false, false]);
  assert.deepEqual(middle(box), [180, 0]);
  assert.deepEqual(middle([175, 0, -165, 10]), [-175, 5]);
  assert.deepEqual(middle([-180, -90, 180, 90]), [0, 0]);
});

test("metres along the great circle", () => {
  // Berlin to Paris; a degree on the equator; across the antimeridian; to the other side of the earth.
  for (const [longitude1, latitude1, longitude2, latitude2, metres] of [
    [13.405, 52.52, 2.3522, 48.8566, 877_460], [0, 0, 1, 0, 111_195], [179.5, 0, -179.5, 0, 111_195], [0, 0, 180, 0, 20_015_114],
  ] as const) {
    const made = metresBetween(longitude1, latitude1, longitude2, latitude2);
    assert.ok(Math.abs(made - metres) < metres / 1000, `${made} for ${metres}`);
  }
});

test("sorting by a number is the same as with a comparing function, whatever the numbers", () => {
  for (const count of [0, 1, 2, 1000, 70_000]) {
    const items = Array.from({ length: count }, (_, index) => ({ index, value: Math.floor(Math.random() ** 9 * 1e11) }));
    const wanted = [...items].sort((a, b) => Math.min(a.value, 6e10) - Math.min(b.value, 6e10) || a.index - b.index);
    assert.deepEqual(sortByNumber(items, ({ value }) => Math.min(value, 6e10)), wanted);
  }
  const odd = [NaN, -5, Infinity, 3, 0];
  assert.deepEqual(new Set(sortByNumber(odd, (value) => value)), new Set(odd), "none is lost");
});

test("by age the newest first, by distance the nearest, by name as people count", () => {
  const devices = [
    device("van 10", { at: 500, longitude: 3 }), device("Van 2", { at: 900, longitude: -1 }),
    device("x", { at: 100, attributes: { name: "alpha" } }), device("van 2", { at: 700, longitude: 2 }),
  ];
  const sorter = new Sorter();
  assert.equal(ids(sorter.sort(devices, "age", 1000, [0, 0])), "Van 2 van 2 van 10 x");
  assert.equal(ids(sorter.sort(devices, "distance", 1000, [0, 0])), "x Van 2 van 2 van 10");
  assert.equal(ids(sorter.sort(devices, "name", 1000, [0, 0])), "x Van 2 van 2 van 10");
  const more = [...devices.filter(({ id }) => id !== "x"), device("van 3")];
  assert.equal(ids(sorter.sort(more, "name", 1000, [0, 0])), "Van 2 van 2 van 3 van 10");
  const renamed = devices[1]!;
  renamed.fix = { ...renamed.fix, position: { ...renamed.fix.position, attributes: { name: "zebra" } } };
  assert.equal(ids(sorter.sort(devices, "name", 1000, [0, 0])), "x van 2 van 10 Van 2", "one came back, one went, one has another name");
});

test("a search finds ids first, then what begins so, then what holds it, then other attributes", () => {
  const devices = [
    device("1", { attributes: { driver: "Bus 7 GmbH" } }), device("old bus 7"), device("bus 71"), device("BUS 7"),
    device("2", { attributes: { name: "Bus 7 b", load: 7, nested: { a: "bus 7" } } }), device("3", { attributes: { nested: { a: "bus 7" } } }),
  ];
  assert.equal(find(devices, " Bus 7 ").map(({ id }) => id).join("|"), "BUS 7|bus 71|2|old bus 7|1");
  assert.equal(find(devices, "tram").length, 0);
});

test("the rows on the page are those that can be seen and a few more", () => {
  assert.deepEqual(rowsOnPage(0, 520, 52, 50_000), { first: 0, end: 14 });
  assert.deepEqual(rowsOnPage(52_000, 520, 52, 50_000), { first: 996, end: 1014 });
  assert.deepEqual(rowsOnPage(1e9, 520, 52, 50_000), { first: 49_996, end: 50_000 });
  assert.deepEqual(rowsOnPage(0, 0, 52, 50_000), { first: 0, end: 0 });
  assert.deepEqual(rowsOnPage(520, 520, 52, 0), { first: 0, end: 0 });
});

test("keys lead to rows, and the list scrolls no further than it must", () => {
  const keys = ["ArrowDown", "ArrowUp", "Home", "End", "PageDown", "PageUp", "x"];
  assert.deepEqual(keys.map((key) => moveBy(key, 50, 100, 10)), [51, 49, 0, 99, 60, 40, undefined]);
  assert.deepEqual(keys.map((key) => moveBy(key, -1, 100, 10)), [0, 99, 0, 99, 10, 0, undefined]);
  assert.deepEqual([moveBy("ArrowDown", 99, 100, 10), moveBy("PageUp", 3, 100, 10), moveBy("End", 0, 0, 10)], [99, 0, undefined]);
  assert.deepEqual([scrollTo(5, 0, 520, 52), scrollTo(10, 0, 520, 52), scrollTo(1, 520, 520, 52)], [0, 52, 52]);
});
