// Controls: how the page looks (theme, units), and buttons for all that is not about one device.

import type { Units } from "../config.ts";
import type { Theme } from "../state.ts";
import type { Context } from "./context.ts";
import { el, iconButton } from "./dom.ts";
import { icon } from "./icons.ts";

/** A group of which one is chosen: radio buttons that look like one bar. */
export class Choice<Value extends string> {
  readonly element: HTMLElement;
  readonly #inputs: readonly HTMLInputElement[];

  constructor(name: string, title: string, values: Readonly<Record<Value, string>>, choose: (value: Value) => void) {
    const entries = Object.entries(values) as [Value, string][];
    this.#inputs = entries.map(([value]) => el("input", { type: "radio", name, value, id: `${name}-${value}` }));
    const labels = entries.map(([, text], index) => el("label", {}, this.#inputs[index] as HTMLElement, el("span", {}, text)));
    this.element = el("fieldset", { class: `choice ${name}` }, el("legend", {}, title), el("div", { class: "segments" }, ...labels));
    this.element.addEventListener("change", (event) => choose((event.target as HTMLInputElement).value as Value));
  }

  show(value: Value): void {
    for (const input of this.#inputs) input.checked = input.value === value;
  }
}

export class Controls {
  /** The buttons. */
  readonly element: HTMLElement;
  /** What the settings button shows. */
  readonly settings: HTMLElement;
  readonly #context: Context;
  readonly #button = iconButton(icon("settings"), "Settings");
  readonly #theme: Choice<Theme>;
  readonly #units: Choice<Units>;

  constructor(context: Context, help: () => void) {
    this.#context = context;
    const { state, map, noMap, signal } = context;
    const fit = iconButton(icon("fit"), "Show all devices", "a"), question = iconButton(icon("help"), "Help and keyboard shortcuts", "?");
    fit.addEventListener("click", () => map.fitAll());
    question.addEventListener("click", help);
    this.#theme = new Choice<Theme>("theme", "Theme", { auto: "Auto", light: "Light", dark: "Dark" }, (theme) => state.set({ theme }));
    this.#units = new Choice<Units>("units", "Units", { metric: "km, km/h", imperial: "mi, mph" }, (units) => state.set({ units }));
    this.settings = el("div", { class: "settings", id: "settings", hidden: true, role: "group", "aria-label": "Settings" },
      this.#theme.element, this.#units.element);
    this.#button.setAttribute("aria-controls", "settings");
    this.#button.addEventListener("click", () => this.open(this.settings.hidden !== false));
    this.settings.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.open(false);
      this.#button.focus();
    });
    this.element = el("div", { class: "buttons" }, ...(noMap === undefined ? [fit] : []), this.#button, question);
    signal.addEventListener("abort", state.on("change", () => this.#draw()));
    this.open(false);
    this.#draw();
  }

  /** Shows or hides the settings. */
  open(open: boolean): void {
    this.settings.hidden = !open;
    this.#button.setAttribute("aria-expanded", String(open));
  }

  /** Dark if it is light, light if it is dark. */
  toggleTheme(): void {
    this.#context.state.set({ theme: document.documentElement.dataset["theme"] === "dark" ? "light" : "dark" });
  }

  toggleUnits(): void {
    this.#context.state.set({ units: this.#context.units() === "metric" ? "imperial" : "metric" });
  }

  #draw(): void {
    this.#theme.show(this.#context.state.shown.theme);
    this.#units.show(this.#context.units());
  }
}
