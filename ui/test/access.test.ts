// What a token lets its bearer see, in boxes and in words.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Box } from "../../clients/js/src/index.ts";
import { areasOf, boxText, common, halves } from "../src/access.ts";
import { around } from "../src/bounds.ts";

test("areas that may be seen: all, some, none", () => {
  for (const all of [undefined, ["*"], ["area:*"], ["area:1,2,3,4", "*"]]) assert.equal(areasOf(all), undefined);
  assert.deepEqual(areasOf(["event:*", "area:1,2,3,4", "area:of tomorrow", "area:170,0,-170,1"]), [[1, 2, 3, 4], [170, 0, -170, 1]]);
  assert.deepEqual(areasOf(["event:*"]), []);
  assert.deepEqual(areasOf([]), []);
});

test("a box across the antimeridian has two halves", () => {
  assert.deepEqual(halves([1, 2, 3, 4]), [[1, 2, 3, 4]]);
  assert.deepEqual(halves([170, -1, -160, 1]), [[170, -1, 180, 1], [-180, -1, -160, 1]]);
});

test("what boxes have in common", () => {
  assert.deepEqual(common([0, 0, 10, 10], [5, -5, 15, 5]), [5, 0, 10, 5]);
  assert.deepEqual(common([0, 0, 10, 10], [2, 2, 3, 3]), [2, 2, 3, 3]);
  for (const apart of [[11, 0, 12, 10], [10, 0, 12, 10], [0, 10, 10, 20]] as const) assert.equal(common([0, 0, 10, 10], apart), undefined);
});

test("a box around boxes", () => {
  assert.equal(around([]), undefined);
  assert.deepEqual(around([[1, 2, 3, 4]]), [1, 2, 3, 4]);
  assert.deepEqual(around([[1, 2, 3, 4], [5, -6, 7, 3]]), [1, -6, 7, 4]);
  assert.deepEqual(around([[175, 0, 178, 1], [-179, 0, -178, 1]]), [175, 0, -178, 1]);
  assert.deepEqual(around([[-100, 0, 100, 1], [1, 1, 2, 2]]), [-180, -90, 180, 90]);
});

test("a box in words", () => {
  const cases: [Box, string][] = [
    [[13, 52, 14.25, 53], "52° to 53° N, 13° to 14.25° E"], [[-74.1, 40, -73, 41], "40° to 41° N, 74.1° to 73° W"],
    [[-1, -1, 1, 1], "1° S to 1° N, 1° W to 1° E"], [[0, 0, 1, 1], "0° to 1° N, 0° to 1° E"], [[170, -2, -170, 0], "2° to 0° S, 170° E to 170° W"],
  ];
  for (const [box, text] of cases) assert.equal(boxText(box), text);
});
