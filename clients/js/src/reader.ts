// Reader: what an iterator has not given yet; of each device the newest.

import type { Change, Position } from "./types.ts";

/** An async iterator that holds one change for each device at most, however slowly it is read. */
export class Reader implements AsyncIterator<Change> {
  readonly #waiting = new Map<string, Position | undefined>();
  readonly #done: () => void;
  #over = false;
  /** Those who wait for the next change. */
  readonly #asking: ((result: IteratorResult<Change>) => void)[] = [];

  /** `done` is called when nothing more is to be added. */
  constructor(known: ReadonlyMap<string, Position>, done: () => void) {
    for (const [id, position] of known) this.#waiting.set(id, position);
    this.#done = done;
  }

  /** A device has moved or, without `position`, has left. It keeps its place among those that wait. */
  add(id: string, position: Position | undefined): void {
    this.#waiting.set(id, position);
    this.#asking.shift()?.(this.#take());
  }

  /** Nothing more is given. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#waiting.clear();
    this.#done();
    for (const give of this.#asking.splice(0)) give(this.#take());
  }

  next(): Promise<IteratorResult<Change>> {
    if (this.#over || this.#waiting.size > 0) return Promise.resolve(this.#take());
    return new Promise((give) => this.#asking.push(give));
  }

  /** The loop was left. */
  return(): Promise<IteratorResult<Change>> {
    this.end();
    return this.next();
  }

  #take(): IteratorResult<Change> {
    for (const [device_id, position] of this.#waiting) {
      this.#waiting.delete(device_id);
      return { done: false, value: { device_id, position } };
    }
    return { done: true, value: undefined };
  }
}
