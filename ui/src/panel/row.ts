// Row: one line of the list. Used again for other devices as the list scrolls.

import type { Config, Units } from "../config.ts";
import type { Device } from "../device.ts";
import { compass, distance, duration, speed } from "../format.ts";
import { el, setAttribute, setText } from "./dom.ts";
import { ageOf, colorOf, movingTo, nameOf } from "./look.ts";

/** The height of a row in CSS pixels, as in panel.css. */
export const ROW = 52;

/** What a row needs to know beside its device. */
export interface RowLook {
  readonly now: number;
  readonly config: Config;
  readonly units: Units;
  readonly events: readonly string[];
  readonly selected: string | undefined;
  /** Metres from where distances count; undefined: not shown. */
  distance(device: Device): number | undefined;
  /** Whether it is still in the list, or only kept until nobody points at it. */
  there(device: Device): boolean;
}

export class Row {
  readonly element: HTMLElement;
  readonly #mark = el("span", { class: "mark", "aria-hidden": "true" });
  readonly #name = el("bdi", { class: "row-name" });
  readonly #more = el("span", { class: "row-more" });
  readonly #age = el("span", { class: "row-age" });
  readonly #end = el("span", { class: "row-end" });
  #index = -1;
  #count = -1;

  constructor(id: string) {
    this.element = el("div", { role: "option", class: "row", id },
      this.#mark, el("span", { class: "row-text" }, this.#name, " ", this.#more),
      el("span", { class: "row-side" }, this.#age, " ", this.#end));
  }

  /** Shows a device as row `index` of `count`. */
  show(device: Device, index: number, count: number, look: RowLook): void {
    if (index !== this.#index) {
      this.element.style.transform = `translateY(${index * ROW}px)`;
      setAttribute(this.element, "aria-posinset", String(index + 1));
    }
    if (count !== this.#count) setAttribute(this.element, "aria-setsize", String(count));
    this.#index = index;
    this.#count = count;
    setAttribute(this.element, "aria-selected", device.id === look.selected ? "true" : "false");
    showMark(this.#mark, device, look);
    setText(this.#name, nameOf(device));
    setText(this.#more, more(device, look));
    setText(this.#age, since(look.now - device.fix.at));
    const metres = look.distance(device);
    setText(this.#end, stateText(device, look) ?? (metres === undefined ? "" : distance(metres, look.units)));
  }
}

/** Draws the mark of a device: an arrow that points where it goes, or a dot; hollow when it is old. */
export function showMark(mark: HTMLElement, device: Device, look: Pick<RowLook, "now" | "config" | "events">): void {
  const heading = movingTo(device);
  const color = colorOf(device, look.events), turn = heading === undefined ? "" : `rotate(${Math.round(heading)}deg)`;
  setAttribute(mark, "data-age", ageOf(device, look.now, look.config));
  setAttribute(mark, "data-moving", heading !== undefined);
  if (mark.dataset["color"] !== color) {
    mark.dataset["color"] = color;
    mark.style.color = color;
  }
  if (mark.style.transform !== turn) mark.style.transform = turn;
}

function since(ms: number): string {
  return ms < 1000 ? "now" : duration(ms);
}

function stateText(device: Device, look: RowLook): string | undefined {
  if (!look.there(device)) return "out of view";
  const age = ageOf(device, look.now, look.config);
  return age === "fresh" ? undefined : age;
}

/** How fast it is and in which events. */
function more(device: Device, look: RowLook): string {
  const position = device.fix.position, heading = movingTo(device);
  const parts: string[] = [];
  // Of who has not been heard of for long it says nothing about now.
  if (position.speed !== undefined && ageOf(device, look.now, look.config) !== "lost") {
    parts.push(heading === undefined ? speed(position.speed, look.units) : `${speed(position.speed, look.units)} ${compass(heading)}`);
  }
  if (device.events.size > 0) parts.push(...look.events.filter((name) => device.events.has(name)));
  if (nameOf(device) !== device.id) parts.push(device.id);
  return parts.join(" · ");
}
