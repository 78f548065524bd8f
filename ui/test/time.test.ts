// Timestamps as numbers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { millis } from "../src/time.ts";

test("a timestamp is what Date.parse makes of it", () => {
  const from = Date.UTC(1970, 0, 1), to = Date.UTC(2999, 11, 31);
  let seed = 5;
  for (let n = 0; n < 20_000; n++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    // Now and then another minute, mostly the same.
    const at = n % 7 === 0 ? from + Math.floor((seed / 2 ** 32) * (to - from)) : 1_800_000_000_000 + (seed % 60_000);
    const text = new Date(at).toISOString();
    assert.equal(millis(text), at, text);
  }
  for (const text of ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.678+01:00", "nonsense"]) {
    assert.equal(millis(text), Date.parse(text), text);
  }
});
