// Hold: whether the order of the list is held, because someone may be about to click or is reading it.

/** How long after the last movement of a pointer over the list, ms; and of a key in it. Who has gone for coffee holds nothing. */
const POINTER = 10_000, KEY = 30_000;

export class Hold {
  #until = -Infinity;

  constructor(list: HTMLElement, signal: AbortSignal) {
    const hold = (ms: number) => {
      this.#until = Math.max(this.#until, performance.now() + ms);
    };
    for (const name of ["pointermove", "pointerdown", "wheel", "touchmove"] as const) {
      list.addEventListener(name, () => hold(POINTER), { signal, passive: true });
    }
    for (const name of ["keydown", "focus"] as const) list.addEventListener(name, () => hold(KEY), { signal });
    for (const name of ["pointerleave", "blur"] as const) {
      list.addEventListener(name, (event) => {
        // A finger leaves with each touch.
        if (event instanceof PointerEvent && event.pointerType !== "mouse") return;
        const still = name === "blur" ? list.matches(":hover") : document.activeElement === list && list.matches(":focus-visible");
        if (!still) this.#until = -Infinity;
      }, { signal });
    }
  }

  held(): boolean {
    return performance.now() < this.#until;
  }
}
