// Clock: calls once a second while the page is visible, and when it becomes so.

/** Calls `tick` once a second, but not while the page is hidden, until the signal. */
export function everySecond(tick: () => void, signal: AbortSignal): void {
  let timer: number | undefined;
  const follow = () => {
    window.clearInterval(timer);
    timer = undefined;
    if (document.hidden || signal.aborted) return;
    timer = window.setInterval(tick, 1000);
    tick();
  };
  document.addEventListener("visibilitychange", follow, { signal });
  signal.addEventListener("abort", follow);
  follow();
}

/** Runs something at most once in `pause` ms: at once if it can be, otherwise at the end of the pause. Never while hidden. */
export class Throttle {
  readonly #run: () => void;
  readonly #pause: number;
  #last = -Infinity;
  #timer: number | undefined;
  #due = false;

  constructor(run: () => void, pause: number, signal: AbortSignal) {
    this.#run = run;
    this.#pause = pause;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.#due) this.ask();
    }, { signal });
    signal.addEventListener("abort", () => window.clearTimeout(this.#timer));
  }

  /** Asks for a run. */
  ask(): void {
    this.#due = true;
    if (document.hidden || this.#timer !== undefined) return;
    const wait = this.#last + this.#pause - performance.now();
    this.#timer = window.setTimeout(() => {
      this.#timer = undefined;
      if (!document.hidden) this.now();
    }, Math.max(0, wait));
  }

  /** Runs at once. */
  now(): void {
    window.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due = false;
    this.#last = performance.now();
    this.#run();
  }
}
