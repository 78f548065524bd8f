// Frames: asks the browser for a frame when there is something to draw, and not otherwise.

/** Below this, a pause is not worth a timer: about one frame, ms. */
const SHORT = 20;

export class Frames {
  readonly #draw: () => void;
  #frame = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer ends. */
  #due = Infinity;

  constructor(draw: () => void) {
    this.#draw = draw;
  }

  /** Draws in the next frame, or in the first one after so many ms. A hidden page has no frames. */
  request(pause = 0): void {
    if (this.#frame !== 0 || pause === Infinity) return;
    if (pause < SHORT) {
      this.#stopTimer();
      this.#frame = requestAnimationFrame(() => {
        this.#frame = 0;
        this.#draw();
      });
      return;
    }
    const due = performance.now() + pause;
    if (due >= this.#due) return;
    this.#stopTimer();
    this.#due = due;
    this.#timer = setTimeout(() => {
      this.#due = Infinity;
      this.request();
    }, Math.min(pause, 2 ** 31 - 1));
  }

  stop(): void {
    this.#stopTimer();
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#due = Infinity;
  }
}
