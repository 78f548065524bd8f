// Sheet: how much of the page the panel takes. On a phone it is a sheet at the lower edge that is drawn up by its grip.

import type { Context } from "./context.ts";
import { el, setAttribute } from "./dom.ts";
import { icon } from "./icons.ts";

export type Size = "peek" | "half" | "full";

/** Narrower pages have the sheet, as in page.css. */
export const NARROW = "(max-width: 700px)";
/** A pointer that has moved less, in CSS pixels, has clicked. */
const CLICK = 6;

export class Sheet {
  /** The grip: a button for those who do not drag. */
  readonly grip = el("button", { type: "button", class: "grip icon-button", "aria-controls": "panel-body", "aria-keyshortcuts": "p" },
    el("span", { class: "grip-bar", "aria-hidden": "true" }), icon("panel"));
  readonly #root: HTMLElement;
  #size: Size = "half";
  #dragged = false;

  constructor(context: Context) {
    this.#root = context.root;
    const { signal } = context;
    this.grip.addEventListener("click", () => {
      if (!this.#dragged) this.toggle();
      this.#dragged = false;
    });
    this.#drag(signal);
    signal.addEventListener("abort", () => {
      delete this.#root.dataset["size"];
      delete document.body.dataset["panel"];
      this.#root.style.height = "";
    });
    this.set(matchMedia(NARROW).matches && context.noMap === undefined ? "peek" : "half");
  }

  set(size: Size): void {
    this.#size = size;
    this.#root.dataset["size"] = size;
    document.body.dataset["panel"] = size;
    setAttribute(this.grip, "aria-expanded", String(size !== "peek"));
    setAttribute(this.grip, "aria-label", size === "peek" ? "Show the panel" : "Hide the panel");
    setAttribute(this.grip, "title", size === "peek" ? "Show the panel (p)" : "Hide the panel (p)");
  }

  toggle(): void {
    this.set(this.#size === "peek" ? "half" : "peek");
  }

  /** Makes what is in it visible. */
  reveal(size: "half" | "full" = "half"): void {
    if (this.#size === "peek" || (size === "full" && matchMedia(NARROW).matches)) this.set(size);
  }

  #drag(signal: AbortSignal): void {
    let from: { y: number; height: number } | undefined;
    this.grip.addEventListener("pointerdown", (event) => {
      if (!matchMedia(NARROW).matches || event.button !== 0) return;
      from = { y: event.clientY, height: this.#root.offsetHeight };
      this.#dragged = false;
      this.grip.setPointerCapture(event.pointerId);
    }, { signal });
    this.grip.addEventListener("pointermove", (event) => {
      if (!from || Math.abs(event.clientY - from.y) < CLICK && !this.#dragged) return;
      if (!this.#dragged && this.#size === "peek") this.set("half");
      this.#dragged = true;
      this.#root.style.height = `${Math.max(64, Math.min(innerHeight - 48, from.height + from.y - event.clientY))}px`;
    }, { signal });
    for (const name of ["pointerup", "pointercancel"] as const) {
      this.grip.addEventListener(name, () => {
        if (from && this.#dragged) this.set(nearest(this.#root.offsetHeight / innerHeight));
        this.#root.style.height = "";
        from = undefined;
      }, { signal });
    }
  }
}

/** The size nearest to a part of the page's height. */
export function nearest(part: number): Size {
  return part < 0.35 ? "peek" : part < 0.68 ? "half" : "full";
}
