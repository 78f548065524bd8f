// The order of the list: which devices are in it, and in which order. Made for 50,000 once a second.

import type { Box } from "../../../clients/js/src/index.ts";
import type { Device } from "../device.ts";
import { nameOf } from "./look.ts";

export type Order = "age" | "distance" | "name";
export const ORDERS: readonly Order[] = ["age", "distance", "name"];

/** The mean radius of the earth, metres. */
const RADIUS = 6_371_008.8;

/** Whether a place is in a box, which may cross the antimeridian. */
export function inBox(box: Box, longitude: number, latitude: number): boolean {
  const [west, south, east, north] = box;
  if (latitude < south || latitude > north) return false;
  return west <= east ? longitude >= west && longitude <= east : longitude >= west || longitude <= east;
}

/** The middle of a box: longitude, latitude. */
export function middle([west, south, east, north]: Box): readonly [number, number] {
  const width = west <= east ? east - west : east - west + 360;
  const longitude = west + width / 2;
  return [longitude > 180 ? longitude - 360 : longitude, (south + north) / 2];
}

/** Metres between two places, along the great circle (haversine). */
export function metresBetween(longitude1: number, latitude1: number, longitude2: number, latitude2: number): number {
  const radians = Math.PI / 180;
  const north = Math.sin(((latitude2 - latitude1) * radians) / 2), east = Math.sin(((longitude2 - longitude1) * radians) / 2);
  const part = north * north + Math.cos(latitude1 * radians) * Math.cos(latitude2 * radians) * east * east;
  return 2 * RADIUS * Math.asin(Math.min(1, Math.sqrt(part)));
}

/**
 * Sorts by a number, the smallest first; what is equal stays in its order. Numbers count as whole ones of at least 0.
 * Sorting numbers without a comparing function is several times faster, so each number carries its index in its low digits.
 */
export function sortByNumber<Item>(items: readonly Item[], key: (item: Item) => number): Item[] {
  const count = items.length, step = 2 ** Math.ceil(Math.log2(count + 1));
  const most = Math.floor(Number.MAX_SAFE_INTEGER / step) - 1;
  const keys = new Float64Array(count);
  for (let index = 0; index < count; index++) {
    keys[index] = Math.max(0, Math.min(most, Math.floor(key(items[index] as Item)))) * step + index;
  }
  keys.sort();
  const sorted: Item[] = new Array(count);
  for (let index = 0; index < count; index++) sorted[index] = items[(keys[index] as number) % step] as Item;
  return sorted;
}

/** Names as people sort them: without regard to case, and 2 before 10. */
const names = new WeakMap<Device, { name: string; key: string }>();

function nameKey(device: Device): string {
  const name = nameOf(device), known = names.get(device);
  if (known?.name === name) return known.key;
  const key = name.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(16, "0"));
  names.set(device, { name, key });
  return key;
}

function byName(one: Device, other: Device): number {
  const a = nameKey(one), b = nameKey(other);
  return a < b ? -1 : a > b ? 1 : one.id < other.id ? -1 : one.id > other.id ? 1 : 0;
}

/** Those of `before` that are still there, in their order, then those that are new. */
export function likeBefore(devices: readonly Device[], before: readonly Device[]): Device[] {
  const there = new Set(devices), known = new Set(before);
  return [...before.filter((device) => there.has(device)), ...devices.filter((device) => !known.has(device))];
}

/** Sorts devices. `before` is how they were sorted last: names change little, and what is almost sorted is sorted quickly. */
export function sorted(
  devices: readonly Device[], order: Order, now: number, from: readonly [number, number], before: readonly Device[],
): Device[] {
  if (order === "age") return sortByNumber(devices, (device) => now - device.fix.at);
  if (order === "name") return likeBefore(devices, before).sort(byName);
  const [longitude, latitude] = from;
  return sortByNumber(devices, ({ fix: { position } }) =>
    10 * metresBetween(longitude, latitude, position.longitude, position.latitude));
}
