// DeviceList: the devices in view, or those that a search finds; only the rows that can be seen are on the page.

import { isInside } from "../../../clients/js/src/box.ts";
import type { Box } from "../../../clients/js/src/index.ts";
import type { Device } from "../device.ts";
import { number, plural } from "../format.ts";
import { Throttle } from "./clock.ts";
import type { Context } from "./context.ts";
import { el, setAttribute, setHidden, setText } from "./dom.ts";
import { Hold } from "./hold.ts";
import { ageOf } from "./look.ts";
import { metresBetween, middle, type Order, Sorter } from "./order.ts";
import { Row, ROW, type RowLook } from "./row.ts";
import { find, searched } from "./search.ts";
import { moveBy, rowsOnPage, scrollTo } from "./window.ts";

/** Between two times that the list is made anew because devices moved, ms. */
const PAUSE = 1000;

export class DeviceList {
  readonly element: HTMLElement;
  readonly count = el("h2", { id: "list-count", class: "list-count" });
  /** How many of them are old. */
  readonly ages = el("p", { class: "list-ages" });
  /** Called when the list was made anew: how many are in it. */
  onChange: (count: number) => void = () => {};
  readonly #context: Context;
  readonly #space = el("div", { class: "rows", role: "presentation" });
  readonly #box: HTMLElement;
  readonly #rows: Row[] = [];
  readonly #hold: Hold;
  readonly #throttle: Throttle;
  #order: Order;
  #query = "";
  #devices: Device[] = [];
  /** While the order is held: those that belong into the list, which may have others too. Otherwise all do. */
  #members: ReadonlySet<Device> | undefined;
  readonly #sorter = new Sorter();
  #from: readonly [number, number] = [0, 0];
  /** The device that the keys have come to. */
  #active: Device | undefined;
  #height = 0;
  #scroll = 0;

  constructor(context: Context, order: Order) {
    this.#context = context;
    this.#order = order;
    this.#box = el("div", {
      class: "list", id: "list", role: "listbox", tabindex: "0", "aria-labelledby": "list-count",
    }, this.#space);
    this.element = this.#box;
    this.#hold = new Hold(this.#box, context.signal);
    this.#throttle = new Throttle(() => this.#make(false), PAUSE, context.signal);
    this.#listen();
  }

  get order(): Order {
    return this.#order;
  }

  /** The devices as they stand in the list. */
  get devices(): readonly Device[] {
    return this.#devices;
  }

  setOrder(order: Order): void {
    this.#order = order;
    this.#make(true);
    this.#scrollTo(0);
  }

  /** Shows what a text finds among all devices that are known; "" shows what is in view. */
  setQuery(text: string): void {
    if (searched(text) === this.#query) return;
    this.#query = searched(text);
    this.#active = undefined;
    this.#make(true);
    this.#scrollTo(0);
  }

  /** Ages have grown. */
  tick(): void {
    if (this.#height > 0) this.#throttle.ask();
  }

  focus(): void {
    this.#box.focus();
  }

  /** It can be seen. An empty one is hidden, and must find out that it is empty no longer. */
  #isNeeded(): boolean {
    return this.#height > 0 || this.#devices.length === 0;
  }

  #listen(): void {
    const { signal, fleet, state, map } = this.#context;
    signal.addEventListener("abort", fleet.on("change", () => {
      if (this.#isNeeded()) this.#throttle.ask();
    }));
    signal.addEventListener("abort", state.on("change", ({ now, before }) => {
      if (now.events !== before.events || now.only !== before.only) this.#make(true);
      else if (now.selected !== before.selected || now.units !== before.units) this.#draw();
    }));
    map.onMove(() => {
      if (!signal.aborted && this.#isNeeded()) this.#make(false);
    });
    this.#box.addEventListener("scroll", () => {
      this.#scroll = this.#box.scrollTop;
      this.#draw();
    }, { signal, passive: true });
    this.#box.addEventListener("click", (event) => this.#click(event), { signal });
    this.#box.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.#box.addEventListener("focus", () => {
      this.#active ??= this.#devices.find((device) => device.id === state.shown.selected) ?? this.#devices[0];
      this.#draw();
    }, { signal });
    // It tells the height without making the browser lay out the page; 0 while the list is hidden.
    const sizes = new ResizeObserver(([entry]) => {
      const before = this.#height;
      this.#height = entry?.contentRect.height ?? 0;
      if (before === 0 && this.#height > 0) this.#make(true);
      else this.#draw();
    });
    sizes.observe(this.#box);
    signal.addEventListener("abort", () => sizes.disconnect());
  }

  #make(anew: boolean): void {
    if (this.#context.signal.aborted) return;
    const { fleet, map } = this.#context;
    const box = map.box();
    this.#from = middle(box);
    const members = this.#query !== "" ? [...fleet.devices.values()] : inside(fleet.devices.values(), box);
    const hold = !anew && this.#query === "" && this.#hold.held();
    this.#members = hold ? new Set(members) : undefined;
    if (hold) {
      this.#replace(held(this.#devices, members, (id) => fleet.devices.get(id)));
    } else {
      const devices = this.#sorter.sort(members, this.#order, fleet.now(), this.#from);
      this.#replace(this.#query === "" ? devices : find(devices, this.#query));
    }
    const count = this.#members?.size ?? this.#devices.length;
    const where = this.#query !== "" ? " found" : this.#context.noMap === undefined ? " in view" : "";
    setText(this.count, plural(count, "device") + where);
    setText(this.ages, this.#agesText(this.#members ?? this.#devices));
    this.onChange(count);
  }

  #agesText(devices: Iterable<Device>): string {
    const { fleet, config } = this.#context, now = fleet.now();
    const counts = { fresh: 0, stale: 0, lost: 0 };
    for (const device of devices) counts[ageOf(device, now, config)]++;
    return (["stale", "lost"] as const).filter((age) => counts[age] > 0).map((age) => `${number(counts[age])} ${age}`).join(", ");
  }

  /** Puts other devices into the list; the row that the keys have come to stays where it is on the screen. */
  #replace(devices: Device[]): void {
    const active = this.#active, focused = this.#box.matches(":focus-visible");
    const before = focused && active ? this.#devices.indexOf(active) : -1;
    this.#devices = devices;
    const height = `${devices.length * ROW}px`;
    if (this.#space.style.height !== height) this.#space.style.height = height;
    const after = before < 0 || !active ? -1 : devices.indexOf(active);
    if (active && focused && after < 0) this.#active = devices[Math.min(Math.max(0, before), devices.length - 1)];
    if (before >= 0 && after >= 0 && before !== after) this.#scrollTo(Math.max(0, this.#scroll + (after - before) * ROW));
    else this.#draw();
  }

  #scrollTo(top: number): void {
    if (top !== this.#box.scrollTop) this.#box.scrollTop = top;
    this.#scroll = this.#box.scrollTop;
    this.#draw();
  }

  #draw(): void {
    const look = this.#look(), count = this.#devices.length;
    const { first, end } = rowsOnPage(this.#scroll, this.#height, ROW, count);
    const needed = end - first;
    while (this.#rows.length < needed) {
      const row = new Row(`row-${this.#rows.length}`);
      this.#rows.push(row);
      this.#space.append(row.element);
    }
    const size = Math.max(1, this.#rows.length);
    let activeRow: string | undefined;
    const used = new Set<number>();
    for (let index = first; index < end; index++) {
      // The same row for the same index as long as it is on the page, so that scrolling touches new ones only.
      const row = this.#rows[index % size], device = this.#devices[index];
      if (!row || !device) continue;
      used.add(index % size);
      row.show(device, index, count, look);
      const active = device === this.#active;
      if (active) activeRow = row.element.id;
      setAttribute(row.element, "data-active", active);
      setHidden(row.element, false);
    }
    this.#rows.forEach((row, slot) => {
      if (!used.has(slot)) setHidden(row.element, true);
    });
    setAttribute(this.#box, "aria-activedescendant", activeRow);
  }

  #look(): RowLook {
    const { fleet, config, state } = this.#context;
    return {
      now: fleet.now(), config, units: this.#context.units(), events: state.shown.events, selected: state.shown.selected,
      distance: ({ fix: { position } }) =>
        this.#order === "distance" ? metresBetween(...this.#from, position.longitude, position.latitude) : undefined,
      there: (device) => this.#members?.has(device) ?? true,
    };
  }

  #click(event: MouseEvent): void {
    const row = (event.target as Element).closest("[role=option]");
    const device = row && this.#devices[Number(row.getAttribute("aria-posinset")) - 1];
    if (!device) return;
    this.#active = device;
    this.#context.select(device, event.detail > 1);
    this.#draw();
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (this.#active) this.#context.select(this.#active, false);
      return;
    }
    const index = this.#active ? this.#devices.indexOf(this.#active) : -1;
    const to = moveBy(event.key, index, this.#devices.length, Math.floor(this.#height / ROW) - 1);
    if (to === undefined) return;
    event.preventDefault();
    this.#active = this.#devices[to];
    this.#scrollTo(scrollTo(to, this.#scroll, this.#height, ROW));
  }
}

/** The rows as they are, then what is new; who has come back stands where it stood. */
function held(rows: readonly Device[], members: readonly Device[], known: (id: string) => Device | undefined): Device[] {
  const kept = rows.map((device) => known(device.id) ?? device), there = new Set(kept);
  return [...kept, ...members.filter((device) => !there.has(device))];
}

function inside(devices: Iterable<Device>, box: Box): Device[] {
  const found: Device[] = [];
  for (const device of devices) if (isInside(box, device.fix.position)) found.push(device);
  return found;
}
