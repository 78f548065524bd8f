// Access: what a token lets its bearer see (docs/wire.md, "Tokens"), as far as it decides what the page asks for and says.

import { boxOf } from "../../clients/js/src/box.ts";
import type { Box } from "../../clients/js/src/index.ts";

/** The areas of which devices may be seen; undefined: all there are. `mayRead` is what the server says; undefined: it says nothing. */
export function areasOf(mayRead: readonly string[] | undefined): readonly Box[] | undefined {
  if (!mayRead || mayRead.includes("*") || mayRead.includes("area:*")) return undefined;
  return mayRead.map(boxIn).filter((box) => box !== undefined);
}

function boxIn(topic: string): Box | undefined {
  try {
    return boxOf(topic);
  } catch {
    return undefined; // Of a newer server.
  }
}

/** The parts of a box on either side of the antimeridian; one, if it does not cross it. */
export function halves([west, south, east, north]: Box): readonly Box[] {
  return west <= east ? [[west, south, east, north]] : [[west, south, 180, north], [-180, south, east, north]];
}

/** What two boxes have in common, neither of which crosses the antimeridian; undefined for nothing, or for less than an area. */
export function common(a: Box, b: Box): Box | undefined {
  const box: Box = [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])];
  return box[0] < box[2] && box[1] < box[3] ? box : undefined;
}

/** A box in words: "52° to 53° N, 13° to 14° E". */
export function boxText([west, south, east, north]: Box): string {
  return `${span(south, north, "S", "N")}, ${span(west, east, "W", "E")}`;
}

function span(from: number, to: number, negative: string, positive: string): string {
  const degrees = (value: number) => `${Number(Math.abs(value).toFixed(4))}°`;
  const side = (value: number) => (value < 0 ? negative : positive);
  // Of zero, either will do.
  const one = from === 0 ? side(to) : side(from), other = to === 0 ? one : side(to);
  return one === other ? `${degrees(from)} to ${degrees(to)} ${one}` : `${degrees(from)} ${one} to ${degrees(to)} ${other}`;
}

