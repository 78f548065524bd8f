// Events: which were asked for, each with its colour and how many devices are in it; adding and removing them.

import { eventColor } from "../colors.ts";
import { number } from "../format.ts";
import { nameFault } from "../names.ts";
import { MOST_EVENTS } from "../state.ts";
import type { Context } from "./context.ts";
import { el, iconButton, setAttribute, setHidden, setText } from "./dom.ts";
import { icon } from "./icons.ts";

/** What is wrong with adding an event of this name; undefined if nothing is. */
export function eventFault(name: string, events: readonly string[]): string | undefined {
  if (events.includes(name)) return "It is here already.";
  if (events.length >= MOST_EVENTS) return `At most ${MOST_EVENTS} events at once. Remove one first.`;
  return name === "" ? "Type the name of an event." : nameFault(name);
}

export class Events {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #chips = el("ul", { class: "chips", "aria-label": "Events shown" });
  readonly #input = el("input", {
    type: "text", id: "event-name", autocomplete: "off", autocapitalize: "off", spellcheck: "false", "aria-describedby": "event-fault",
    placeholder: "Add an event by name",
  });
  readonly #fault = el("p", { id: "event-fault", class: "fault", role: "alert" });
  readonly #only = el("input", { type: "checkbox", id: "events-only" });
  readonly #onlyLabel: HTMLElement;
  /** What the chips show: they are not made anew, and lose no focus, when that has not changed. */
  #drawn = "[]";

  constructor(context: Context) {
    this.#context = context;
    const add = el("button", { type: "submit", class: "button" }, "Add");
    const title = el("h2", { id: "events-title" }, el("label", { for: "event-name" }, "Events"));
    const form = el("form", { class: "event-form" }, title, this.#input, add);
    this.#onlyLabel = el("label", { class: "check" }, this.#only, "Only devices of these events");
    this.element = el("section", { class: "events", "aria-labelledby": "events-title" },
      form, this.#fault, this.#chips, this.#onlyLabel);
    const { state, fleet, signal } = context;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add();
    });
    this.#input.addEventListener("input", () => this.#say(undefined));
    this.#only.addEventListener("change", () => state.set({ only: this.#only.checked }));
    signal.addEventListener("abort", state.on("change", ({ now, before }) => {
      if (now.events !== before.events || now.only !== before.only) this.#draw();
    }));
    signal.addEventListener("abort", fleet.on("status", () => this.#draw()));
    this.#draw();
  }

  focus(): void {
    this.#input.focus();
  }

  #add(): void {
    const { state, announce } = this.#context;
    // The topic is what stands in the documentation, and is taken too.
    const name = this.#input.value.trim().replace(/^event:/, ""), fault = eventFault(name, state.shown.events);
    this.#say(fault);
    if (fault !== undefined) return;
    this.#input.value = "";
    state.set({ events: [...state.shown.events, name] });
    announce(`Event ${name} added`);
  }

  #say(fault: string | undefined): void {
    setText(this.#fault, fault ?? "");
    setAttribute(this.#input, "aria-invalid", fault === undefined ? undefined : "true");
  }

  #remove(name: string): void {
    const { state, announce } = this.#context;
    state.set({ events: state.shown.events.filter((other) => other !== name) });
    announce(`Event ${name} removed`);
    this.#input.focus();
  }

  #draw(): void {
    const { shown } = this.#context.state, { refused } = this.#context.fleet.status;
    const drawn = JSON.stringify(shown.events.map((name) => [name, refused.get(name)]));
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.#chips.replaceChildren(...shown.events.map((name, index) => this.#chip(name, index, refused.get(name))));
    }
    setHidden(this.#chips, shown.events.length === 0);
    setHidden(this.#onlyLabel, shown.events.length === 0);
    this.#only.checked = shown.only;
    this.tick();
  }

  #chip(name: string, index: number, refused: string | undefined): HTMLElement {
    const remove = iconButton(icon("close"), `Remove event ${name}`);
    remove.addEventListener("click", () => this.#remove(name));
    const swatch = el("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.backgroundColor = eventColor(index);
    const chip = el("li", { class: "chip" }, swatch, el("bdi", { class: "chip-name" }, name), el("span", { class: "chip-count" }), remove);
    if (refused !== undefined) {
      chip.classList.add("refused");
      chip.append(el("p", { class: "fault" }, `Refused: ${refused}`));
    }
    return chip;
  }

  /** Counts the devices of each. */
  tick(): void {
    const { events } = this.#context.state.shown;
    if (events.length === 0 || this.element.hidden) return;
    const counts = new Map<string, number>();
    for (const device of this.#context.fleet.devices.values()) {
      if (device.events.size > 0) for (const name of device.events) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    events.forEach((name, index) => {
      const count = this.#chips.children[index]?.querySelector(".chip-count");
      const members = counts.get(name) ?? 0;
      if (!count) return;
      setText(count, number(members));
      setAttribute(count, "title", members === 1 ? "1 device" : `${number(members)} devices`);
    });
  }
}
