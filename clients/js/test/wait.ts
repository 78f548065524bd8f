// Waiting for something to be true, or to happen.

import type { Emitter } from "../src/emitter.ts";

/** The longest that anything here may take, in ms. */
export const PATIENCE = 20_000;

/** Waits until `look` gives something other than undefined, null or false. */
export async function until<T>(what: string, look: () => T | Promise<T>): Promise<NonNullable<T>> {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== null && seen !== false) return seen as NonNullable<T>;
    if (Date.now() > end) throw new Error(`waited ${PATIENCE} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The next event of this name. */
export function next<Events, Name extends keyof Events>(
  emitter: Emitter<Events>,
  name: Name,
): Promise<Events[Name]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`waited ${PATIENCE} ms for ${String(name)}`)), PATIENCE);
    const off = emitter.on(name, (event) => {
      clearTimeout(timer);
      off();
      resolve(event);
    });
  });
}
