// Tests of the built-in base map's data: land and sea are where they are, and nothing leads across the whole map.

import assert from "node:assert/strict";
import { test } from "node:test";
import { world } from "../basemap.mjs";

type Ring = [number, number][];
interface Item {
  properties: { kind: string; name?: string; rank?: number };
  geometry: { type: string; coordinates: unknown };
}
const items = (JSON.parse(await world()) as { features: Item[] }).features;
const land = items.filter(({ properties }) => properties.kind === "land").map(({ geometry }) => geometry.coordinates as Ring[]);

function isLand(x: number, y: number): boolean {
  const inside = (ring: Ring) => ring.reduce((odd, [bx, by], index) => {
    const [ax, ay] = ring[index - 1] ?? [bx, by];
    return ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax ? !odd : odd;
  }, false);
  return land.some(([outer, ...holes]) => inside(outer!) && !holes.some(inside));
}

test("land is land and sea is sea, also at the antimeridian and the pole", () => {
  for (const [x, y] of [[13.4, 52.5], [-74, 41], [100, 65], [179, 67], [-175, 66], [180 - 1e-6, 68], [0, -85], [-179, -85], [178, -17.8]] as const) {
    assert.ok(isLand(x, y), `land at ${x} ${y}`);
  }
  for (const [x, y] of [[0, 68], [-30, 40], [0, -17], [100, -17.5], [-100, 71.5], [-160, 0], [50, 42], [179, 30]] as const) {
    assert.ok(!isLand(x, y), `sea at ${x} ${y}`);
  }
});

test("no line leads across the map, and all is on it", () => {
  const lines = land.flat().concat(items.filter(({ properties }) => properties.kind === "border").flatMap(({ geometry }) => geometry.coordinates as Ring[]));
  assert.ok(lines.length > 1500);
  for (const line of lines) {
    line.forEach(([x, y], index) => {
      assert.ok(Math.abs(x) <= 180 && Math.abs(y) <= 90);
      const [before] = line[index - 1] ?? [x];
      assert.ok(Math.abs(x - before) < 30 || y < -84, `${before} to ${x} at ${y}`);
    });
  }
});

test("countries have names, large ones first", () => {
  const names = new Map(items.filter(({ properties }) => properties.kind === "name").map(({ properties, geometry }) => [properties.name!, { rank: properties.rank!, at: geometry.coordinates as [number, number] }]));
  assert.ok(names.size > 230);
  assert.ok(names.get("Russia")!.rank < names.get("Germany")!.rank && names.get("Germany")!.rank < names.get("Luxembourg")!.rank);
  const [x, y] = names.get("Germany")!.at;
  assert.ok(x > 8 && x < 13 && y > 48 && y < 54);
});
