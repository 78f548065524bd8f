// Emitter: typed listeners; one that throws does not keep the others from being called.

/** Options of `on`. */
export interface ListenOptions {
  /** Takes the listener off when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** Something whose events can be listened to. */
export class Emitter<Events> {
  readonly #listeners: { [Name in keyof Events]?: Set<(event: Events[Name]) => void> } = {};

  /** Calls `listener` at each event of this name, until the function that is returned is called. */
  on<Name extends keyof Events>(
    name: Name,
    listener: (event: Events[Name]) => void,
    { signal }: ListenOptions = {},
  ): () => void {
    // A listener of its own, so that the same function may be there twice and be taken off once.
    const own = (event: Events[Name]) => listener(event);
    const off = () => {
      this.#listeners[name]?.delete(own);
      signal?.removeEventListener("abort", off);
    };
    if (!signal?.aborted) {
      (this.#listeners[name] ??= new Set()).add(own);
      signal?.addEventListener("abort", off);
    }
    return off;
  }

  /** @internal */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of this.#listeners[name] ?? []) {
      try {
        listener(event);
      } catch (error) {
        report(error);
      }
    }
  }
}

/** Makes an error known as if nobody had caught it, but when the others are done. */
function report(error: unknown): void {
  setTimeout(() => {
    throw error;
  });
}
