// Devices: a map that can only be read.

import type { Position } from "./types.ts";

/** Shows a map, and lets nobody change it. */
export class Devices implements ReadonlyMap<string, Position> {
  readonly #map: ReadonlyMap<string, Position>;

  constructor(map: ReadonlyMap<string, Position>) {
    this.#map = map;
  }
  get size(): number {
    return this.#map.size;
  }
  get(id: string): Position | undefined {
    return this.#map.get(id);
  }
  has(id: string): boolean {
    return this.#map.has(id);
  }
  keys(): MapIterator<string> {
    return this.#map.keys();
  }
  values(): MapIterator<Position> {
    return this.#map.values();
  }
  entries(): MapIterator<[string, Position]> {
    return this.#map.entries();
  }
  [Symbol.iterator](): MapIterator<[string, Position]> {
    return this.entries();
  }
  forEach(callback: (position: Position, id: string, map: ReadonlyMap<string, Position>) => void): void {
    this.#map.forEach((position, id) => callback(position, id, this));
  }
}
