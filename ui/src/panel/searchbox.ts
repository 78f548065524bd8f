// SearchBox: the field that filters the list as one types, and looks up what the list does not have.

import { nameFault } from "../names.ts";
import { plural } from "../format.ts";
import type { Context } from "./context.ts";
import { el, setHidden, setText } from "./dom.ts";
import { icon } from "./icons.ts";
import type { DeviceList } from "./list.ts";

/** How long after the last letter screen readers are told how many were found, ms. */
const SAY_AFTER = 700;

export class SearchBox {
  readonly element: HTMLElement;
  /** What to say and offer where the list is empty or has not exactly this one. */
  readonly offer = el("div", { class: "offer", hidden: true });
  readonly #context: Context;
  readonly #list: DeviceList;
  readonly #input = el("input", {
    type: "search", id: "search", placeholder: "Search, or look up an id", "aria-label": "Search devices by id, name or other text",
    "aria-controls": "list", "aria-keyshortcuts": "/", autocomplete: "off", autocapitalize: "off", spellcheck: "false", enterkeyhint: "search",
  });
  readonly #text = el("p", {});
  readonly #look = el("button", { type: "button", class: "button" });
  readonly #all = el("button", { type: "button", class: "button" }, "Show all devices");
  #timer: number | undefined;

  constructor(context: Context, list: DeviceList) {
    this.#context = context;
    this.#list = list;
    this.offer.append(this.#text, this.#look, this.#all);
    this.element = el("form", { role: "search", class: "search" }, icon("search"), this.#input, el("kbd", { "aria-hidden": "true" }, "/"));
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#choose();
    });
    this.#input.addEventListener("input", () => this.#search());
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#all.addEventListener("click", () => context.map.fitAll());
    this.#look.addEventListener("click", () => this.#lookUp());
    context.signal.addEventListener("abort", () => window.clearTimeout(this.#timer));
    this.update(0);
  }

  focus(): void {
    this.#input.focus();
    this.#input.select();
  }

  clear(): void {
    this.#input.value = "";
    this.#search();
  }

  /** The list was made anew and has so many devices. */
  update(count: number): void {
    const text = this.#input.value.trim();
    const exact = this.#context.fleet.devices.has(text);
    const offers = text !== "" && !exact && nameFault(text) === undefined;
    const noMap = this.#context.noMap !== undefined, nothing = noMap ? "No device has reported yet." : "No devices here. Move the map, or:";
    setText(this.#text, text === "" ? nothing : `No device the page knows has “${text}” in its id or attributes.`);
    setHidden(this.#text, count > 0);
    setHidden(this.#look, !offers);
    setHidden(this.#all, noMap || text !== "" || count > 0);
    setText(this.#look, `Look up the id “${text}”`);
    setHidden(this.offer, count > 0 && !offers);
  }

  #search(): void {
    this.#list.setQuery(this.#input.value);
    this.update(this.#list.devices.length);
    window.clearTimeout(this.#timer);
    if (this.#input.value.trim() === "") return;
    this.#timer = window.setTimeout(() => this.#context.announce(`${plural(this.#list.devices.length, "device")} found`), SAY_AFTER);
  }

  #choose(): void {
    const first = this.#list.devices[0];
    if (this.#input.value.trim() === "") return;
    if (first) this.#context.select(first, true);
    else this.#lookUp();
    // What comes next is about the device: single keys are for it again.
    this.#input.blur();
  }

  #lookUp(): void {
    const id = this.#input.value.trim();
    // Wherever it is, the map goes there.
    if (nameFault(id) === undefined) this.#context.state.set({ selected: id, follow: true });
  }

  #key(event: KeyboardEvent): void {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      this.#list.focus();
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      if (this.#input.value === "") this.#input.blur();
      else this.clear();
    }
  }
}
