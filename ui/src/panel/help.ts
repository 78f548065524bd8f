// Help: what the marks mean and what the keys do.

import { el, iconButton } from "./dom.ts";
import { icon } from "./icons.ts";
import { KEYS } from "./keys.ts";
import { prefer, preferences } from "./preferences.ts";

export class Help {
  readonly element: HTMLDialogElement;
  readonly #keys = el("input", { type: "checkbox" });

  constructor(version: string) {
    const close = iconButton(icon("close"), "Close", "Esc");
    close.addEventListener("click", () => this.element.close());
    this.#keys.addEventListener("change", () => prefer({ keys: this.#keys.checked }));
    this.element = el("dialog", { class: "help", "aria-labelledby": "help-title" },
      el("div", { class: "help-head" }, el("h2", { id: "help-title" }, "Help"), close),
      el("h3", {}, "What the marks mean"), el("ul", { class: "legend" }, ...[
        mark("fresh", true, "moving; the arrow points where it goes"), mark("fresh", false, "standing"),
        mark("stale", false, "stale: not heard of for a while"), mark("lost", false, "lost: not heard of for long"),
      ]),
      el("h3", {}, "Keyboard"), el("dl", { class: "shortcuts" }, ...[
        ...KEYS.map(({ key, text }) => shortcut([key === "Escape" ? "Esc" : key], text)),
        shortcut(["↑", "↓"], "Move in the list; also Home, End, Page Up, Page Down"),
        shortcut(["Enter"], "Select the device in the list"),
      ]),
      el("label", { class: "check" }, this.#keys, "Single keys are on"),
      el("p", { class: "version" }, `processor ${version}`));
    // A click beside it closes it.
    this.element.addEventListener("click", (event) => {
      if (event.target === this.element) this.element.close();
    });
  }

  open(): void {
    if (this.element.open) return;
    this.#keys.checked = preferences().keys;
    this.element.showModal();
  }
}

function mark(age: string, moving: boolean, text: string): HTMLElement {
  const sign = el("span", { class: "mark plain", "aria-hidden": "true", "data-age": age, "data-moving": moving });
  return el("li", {}, sign, text);
}

function shortcut(keys: readonly string[], text: string): HTMLElement {
  return el("div", {}, el("dt", {}, ...keys.flatMap((key) => [el("kbd", {}, key), " "])), el("dd", {}, text));
}
