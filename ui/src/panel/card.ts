// Card: everything that is known of the selected device.

import type { Units } from "../config.ts";
import { eventColor } from "../colors.ts";
import type { Device } from "../device.ts";
import { ago, coordinates, fullTime, heading, height, number, speed } from "../format.ts";
import { lines, type Line } from "./attributes.ts";
import { Throttle } from "./clock.ts";
import { copyText } from "./clipboard.ts";
import type { Context } from "./context.ts";
import { el, iconButton, setAttribute, setHidden, setText } from "./dom.ts";
import { Fields } from "./fields.ts";
import { icon } from "./icons.ts";
import { ageOf, nameOf } from "./look.ts";
import { showMark } from "./row.ts";

/** Between two updates of the card, ms. */
const PAUSE = 250;
/** So many attributes are shown at first. */
const FEW = 12;

export class Card {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #mark = el("span", { class: "mark", "aria-hidden": "true" });
  readonly #name = el("bdi", {});
  readonly #id = el("bdi", { class: "card-id" });
  readonly #age = el("time", {});
  readonly #ageLine: HTMLElement;
  readonly #fullTime = el("span", { class: "visually-hidden" });
  readonly #state = el("span", { class: "state" });
  readonly #waiting = el("p", { class: "card-waiting", hidden: true });
  readonly #facts = new Fields("facts");
  readonly #events = el("ul", { class: "card-events", "aria-label": "Events" });
  readonly #attributes = new Fields("attributes");
  readonly #attributesTitle = el("h3", {}, "Attributes");
  readonly #all = el("button", { type: "button", class: "link-button", "aria-expanded": "false", hidden: true });
  readonly #follow = action("follow", "Follow", "Keep the map with it (f)");
  readonly #show = action("show", "Show", "Show on the map (s)");
  readonly #copy = action("copy", "Copy", "Copy the position as JSON");
  readonly #copyPlace = iconButton(icon("copy"), "Copy coordinates");
  readonly #buttons = el("div", { class: "card-actions" }, this.#follow, this.#show, this.#copy);
  readonly #said = el("p", { class: "card-said", role: "status" });
  readonly #known = el("div", { class: "card-known" });
  readonly #throttle: Throttle;
  #showAll = false;
  #shownId: string | undefined;
  #saidTimer: number | undefined;

  constructor(context: Context) {
    this.#context = context;
    const close = iconButton(icon("close"), "Close", "Esc");
    this.#known.append(this.#facts.element, this.#events, this.#attributesTitle, this.#attributes.element, this.#all);
    this.#ageLine = el("p", { class: "card-age" }, this.#state, " ", this.#age, this.#fullTime);
    this.element = el("section", { class: "card", "aria-labelledby": "card-name", hidden: true },
      el("div", { class: "card-head" }, this.#mark, el("h2", { id: "card-name", tabindex: "-1" }, this.#name), close),
      this.#id, this.#ageLine,
      this.#buttons, this.#said, this.#waiting, this.#known);
    this.#throttle = new Throttle(() => this.update(), PAUSE, context.signal);
    close.addEventListener("click", () => this.close());
    this.#actions();
    const { fleet, state, signal } = context;
    signal.addEventListener("abort", fleet.on("change", ({ changed, gone }) => {
      const device = this.#device();
      const id = state.shown.selected;
      if (id !== undefined && (gone.includes(id) || (device && changed.includes(device)))) this.#throttle.ask();
    }));
    signal.addEventListener("abort", state.on("change", ({ now, before }) => {
      if (before.follow && !now.follow && now.selected !== undefined && now.selected === before.selected) this.#say("No longer following");
      this.#throttle.now();
    }));
    this.update();
  }

  /** For keyboards and screen readers, where the card has taken the place of what had the focus. */
  focus(): void {
    this.element.querySelector("h2")?.focus();
  }

  close(): void {
    this.#context.state.set({ selected: undefined });
  }

  #device(): Device | undefined {
    const id = this.#context.state.shown.selected;
    return id === undefined ? undefined : this.#context.fleet.devices.get(id);
  }

  #actions(): void {
    const { state, noMap } = this.#context;
    this.#follow.addEventListener("click", () => this.follow());
    this.#show.addEventListener("click", () => this.show());
    this.#copyPlace.addEventListener("click", () => {
      const position = this.#device()?.fix.position;
      if (position) void this.#copied(coordinates(position.latitude, position.longitude), "Coordinates copied");
    });
    this.#copy.addEventListener("click", () => {
      const position = this.#device()?.fix.position;
      if (position) void this.#copied(JSON.stringify(position, null, 2), "Position copied as JSON");
    });
    this.#all.addEventListener("click", () => {
      this.#showAll = !this.#showAll;
      this.update();
    });
    setHidden(this.#follow, noMap !== undefined);
    setHidden(this.#show, noMap !== undefined);
    this.#shownId = state.shown.selected;
  }

  /** Follows the selected device, or no longer. */
  follow(): void {
    const { state, noMap } = this.#context;
    if (state.shown.selected !== undefined && noMap === undefined) state.set({ follow: !state.shown.follow });
  }

  /** Goes to the selected device on the map. */
  show(): void {
    const device = this.#device();
    if (device && this.#context.noMap === undefined) this.#context.map.show(device);
  }

  async #copied(text: string, done: string): Promise<void> {
    const refused = "The browser does not let this page copy. Mark the text and copy it by hand; a page by https may.";
    this.#say(await copyText(text) ? done : refused);
  }

  #say(text: string): void {
    setText(this.#said, text);
    window.clearTimeout(this.#saidTimer);
    this.#saidTimer = window.setTimeout(() => setText(this.#said, ""), 4000);
  }

  update(): void {
    const { state } = this.#context;
    const id = state.shown.selected, device = this.#device();
    if (id !== this.#shownId) {
      this.#showAll = false;
      this.element.scrollTop = 0;
      if (id === undefined || this.#shownId !== undefined) setText(this.#said, "");
    }
    this.#shownId = id;
    setHidden(this.element, id === undefined);
    if (id === undefined) return;
    const name = device ? nameOf(device) : id;
    setText(this.#name, name);
    setText(this.#id, name === id ? "" : id);
    setHidden(this.#id, name === id);
    setAttribute(this.#follow, "aria-pressed", String(state.shown.follow));
    setText(this.#follow.lastElementChild ?? this.#follow, state.shown.follow ? "Following" : "Follow");
    setHidden(this.#buttons, device === undefined);
    setHidden(this.#waiting, device !== undefined);
    setText(this.#waiting, device ? "" : `Waiting for news of ${id}. It may not have reported yet, or its id may be written differently.`);
    setHidden(this.#known, device === undefined);
    setHidden(this.#mark, device === undefined);
    setHidden(this.#ageLine, device === undefined);
    if (device) this.#showDevice(device);
  }

  /** The age grows, also when nothing is heard of the device. */
  tick(): void {
    const device = this.#device();
    if (device && !this.element.hidden) this.#showAge(device);
  }

  #showAge(device: Device): void {
    const { fleet, config, state } = this.#context;
    const now = fleet.now(), age = ageOf(device, now, config), full = fullTime(device.fix.at);
    setText(this.#age, ago(now - device.fix.at));
    setAttribute(this.#age, "datetime", device.fix.position.timestamp);
    setAttribute(this.#age, "title", full);
    setText(this.#fullTime, `, ${full}`);
    setText(this.#state, { fresh: "Fresh", stale: "Stale", lost: "Lost" }[age]);
    setAttribute(this.#state, "data-age", age);
    showMark(this.#mark, device, { now, config, events: state.shown.events });
  }

  #showDevice(device: Device): void {
    this.#showAge(device);
    this.#facts.show(facts(device, this.#context.units()));
    this.#facts.beside(0, this.#copyPlace);
    this.#showEvents(device);
    const all = lines(device.fix.position.attributes);
    setHidden(this.#attributesTitle, all.length === 0);
    this.#attributes.show(this.#showAll ? all : all.slice(0, FEW));
    setHidden(this.#all, all.length <= FEW);
    setAttribute(this.#all, "aria-expanded", String(this.#showAll));
    setText(this.#all, this.#showAll ? "Show fewer attributes" : `Show all ${number(all.length)} attributes`);
  }

  #showEvents(device: Device): void {
    const { events } = this.#context.state.shown;
    const names = events.filter((name) => device.events.has(name));
    setHidden(this.#events, names.length === 0);
    names.forEach((name, index) => {
      let item = this.#events.children[index] as HTMLElement | undefined;
      if (!item) this.#events.append((item = el("li", {}, el("span", { class: "swatch", "aria-hidden": "true" }), el("bdi"))));
      const [swatch, text] = item.children as unknown as [HTMLElement, HTMLElement];
      swatch.style.backgroundColor = eventColor(events.indexOf(name));
      setText(text, name);
    });
    while (this.#events.children.length > names.length) this.#events.lastElementChild?.remove();
  }
}

/** What the position says; what it does not say is not listed. */
export function facts(device: Device, units: Units): Line[] {
  const { latitude, longitude, ...position } = device.fix.position;
  const found: Line[] = [{ name: "Coordinates", value: coordinates(latitude, longitude) }];
  if (position.speed !== undefined) found.push({ name: "Speed", value: speed(position.speed, units) });
  if (position.heading !== undefined) found.push({ name: "Heading", value: heading(position.heading) });
  if (position.altitude !== undefined) found.push({ name: "Altitude", value: height(position.altitude, units) });
  if (position.accuracy !== undefined) found.push({ name: "Accuracy", value: `± ${height(position.accuracy, units)}` });
  return found;
}

function action(name: Parameters<typeof icon>[0], text: string, title: string): HTMLButtonElement {
  return el("button", { type: "button", class: "action", title }, icon(name), el("span", {}, text));
}
