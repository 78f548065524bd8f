// LiveFleet: the fleet as the server tells of it: the area in view, the events that were asked for, the selected device.

import type { Box, Position, ProcessorClient, ServerError, Snapshot, Subscription } from "../../clients/js/src/index.ts";
import { HIDDEN_EVERY, cadence, covers, grown } from "./area.ts";
import type { Device } from "./device.ts";
import { Emitter } from "./emitter.ts";
import type { Fleet, FleetEvents, Status } from "./fleet.ts";
import type { PageState } from "./state.ts";
import { millis } from "./time.ts";

/** What has changed is told at most so often, ms. */
const TELL_EVERY = 100;
/** Telling pauses after so many ms, so that a page with very many devices still answers to a hand. */
const LONGEST_TELL = 8;
/** Devices that are looked at between two looks at the clock. */
const AT_ONCE = 256;
/** An area that the server refused is asked for again so often, ms: there may be fewer devices by then. */
const TRY_AGAIN = 15_000;
/** An error of the server that is about nothing in particular is shown for so long, ms. */
const SHOW_ERROR = 10_000;
/** How often devices of events are to be told of, ms: who is in view is told of as often as the view needs. */
const EVENT_EVERY = 1_000;
/** A page that has been hidden for so long, ms, needs to be told less often. */
const HIDDEN = 15_000;

export class LiveFleet extends Emitter<FleetEvents> implements Fleet {
  readonly devices = new Map<string, Device>();
  heard: number | undefined;
  readonly #client: ProcessorClient;
  readonly #state: PageState;
  #area: Subscription | undefined;
  readonly #events = new Map<string, Subscription>();
  #selected: Subscription | undefined;
  /** What the map shows. */
  #view: { box: Box; zoom: number };
  /** The area that was asked for last. */
  #asked: Box | undefined;
  /** The area that was asked for last has a margin around what the map shows. */
  #hasMargin = false;
  /** How often the area is served. */
  #everyMs: number | undefined;
  #isHidden = false;
  #tooMany: string | undefined;
  #error: string | undefined;
  readonly #refused = new Map<string, string>();
  /** Devices that something was heard of, and when, by `performance.now()`. A device may be there twice. */
  #touched: string[] = [];
  #came: number[] = [];
  #timer: number | undefined;
  #retry: number | undefined;
  #forgetError: number | undefined;
  #status: Status;

  /** `view` is what the map is going to show first. */
  constructor(client: ProcessorClient, state: PageState, view: { box: Box; zoom: number }) {
    super();
    this.#client = client;
    this.#state = state;
    this.#view = view;
    this.#status = this.#statusNow();
    client.on("statechange", () => this.#tellStatus());
    client.on("error", (error) => this.#showError(error.message));
    state.on("change", ({ now, before }) => {
      if (now.events !== before.events || now.only !== before.only || now.selected !== before.selected) this.#follow();
    });
    let timer = 0;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(timer);
      if (document.hidden) timer = window.setTimeout(() => this.#hide(true), HIDDEN);
      else this.#hide(false);
    });
    this.#follow();
  }

  get status(): Status {
    return this.#status;
  }

  now(): number {
    return this.#client.now();
  }

  /** The server has said of everything that it was asked for what there is, or that it does not send it. */
  get isAnswered(): boolean {
    const all = [this.#area, this.#selected, ...this.#events.values()];
    return all.every((subscription) => !subscription || subscription.live || subscription.refused);
  }

  /** The map shows something else. */
  look(box: Box, zoom: number): void {
    this.#view = { box, zoom };
    this.#lookNow();
  }

  // What is subscribed to

  /** Subscribes to what the page shows now. */
  #follow(): void {
    if (this.#client.state.name === "closed") return;
    const { events, only, selected } = this.#state.shown;
    for (const [name, subscription] of this.#events) {
      if (events.includes(name)) continue;
      this.#events.delete(name);
      this.#refused.delete(name);
      this.#end(subscription);
    }
    for (const name of events) {
      if (this.#events.has(name)) continue;
      const [served, refused] = [() => this.#refused.delete(name), ({ message }: ServerError) => this.#refused.set(name, message)];
      this.#events.set(name, this.#subscribe(`event:${name}`, served, refused, this.#eventEvery()));
    }
    if (this.#selected?.topic !== (selected === undefined ? undefined : `device:${selected}`)) {
      this.#end(this.#selected);
      this.#selected = selected === undefined ? undefined : this.#subscribe(`device:${selected}`, () => {}, ({ message }) => this.#showError(message));
    }
    if (only) {
      this.#end(this.#area);
      this.#area = this.#asked = this.#tooMany = undefined;
    }
    this.#lookNow();
    // Filters and colours concern everyone.
    this.#touchAll(this.devices.keys());
    this.#touchAll(this.#area?.devices.keys());
    this.#tellStatus();
  }

  #lookNow(): void {
    if (this.#state.shown.only || this.#client.state.name === "closed") return;
    const { box, zoom } = this.#view;
    const everyMs = cadence(zoom, this.#isHidden);
    if (!this.#area) {
      [this.#asked, this.#hasMargin, this.#everyMs] = [grown(box), true, everyMs];
      this.#area = this.#subscribe({ area: this.#asked }, () => this.#areaServed(), (error) => this.#areaRefused(error), everyMs);
    } else if (this.#tooMany !== undefined || everyMs !== this.#everyMs || !covers(this.#asked ?? box, box)) {
      // Moved and served otherwise at once: only what is new is sent then. Where there are too many, a margin has no room.
      this.#ask(this.#tooMany === undefined);
      if (everyMs !== this.#everyMs) this.#area.setEvery((this.#everyMs = everyMs));
    }
  }

  #ask(withMargin: boolean): void {
    const { box } = this.#view;
    this.#hasMargin = withMargin;
    this.#asked = withMargin ? grown(box) : box;
    this.#area?.setArea(this.#asked);
  }

  /** A snapshot of the area has come; if it is that which was refused before, all of it can be shown again. */
  #areaServed(): void {
    if (this.#tooMany === undefined || this.#area?.topic !== `area:${this.#asked}`) return;
    this.#tooMany = undefined;
    this.#touchAll(this.#area.devices.keys());
  }

  #areaRefused({ code, message, topic }: ServerError): void {
    if (code !== "too-many-devices") return this.#showError(message);
    // Another has been asked for since.
    if (topic !== `area:${this.#asked}`) return;
    if (this.#hasMargin) return this.#ask(false);
    this.#tooMany = message;
    // What is known is of another view: part of this one would look like all of it.
    this.#touchAll(this.#area?.devices.keys());
    clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => this.#tooMany !== undefined && this.#lookNow(), TRY_AGAIN);
  }

  #hide(isHidden: boolean): void {
    if (isHidden === this.#isHidden) return;
    this.#isHidden = isHidden;
    this.#lookNow();
    if (this.#client.state.name === "closed") return;
    for (const subscription of this.#events.values()) subscription.setEvery(this.#eventEvery());
  }

  #eventEvery(): number {
    return this.#isHidden ? HIDDEN_EVERY : EVENT_EVERY;
  }

  /** Subscribes; calls `served` before a snapshot is told of, `refused` before an error is. */
  #subscribe(
    topic: string | { area: Box }, served: () => void, refused: (error: ServerError) => void, everyMs?: number,
  ): Subscription {
    const subscription = this.#client.subscribe(topic, { everyMs });
    subscription.on("snapshot", (snapshot) => {
      served();
      this.#snapshot(snapshot);
    });
    subscription.on("position", ({ device_id }) => this.#touch(device_id));
    subscription.on("left", ({ device_id }) => this.#touch(device_id));
    subscription.on("error", (error) => {
      refused(error);
      this.#tellStatus();
    });
    return subscription;
  }

  #end(subscription: Subscription | undefined): void {
    if (!subscription) return;
    this.#touchAll(subscription.devices.keys());
    subscription.close();
  }

  // What is heard

  #snapshot({ positions, left }: Snapshot): void {
    for (const { device_id } of positions) this.#touch(device_id);
    this.#touchAll(left);
    // Whoever has opened the page waits for this, also if it is empty.
    this.#tell(Infinity);
    this.#tellStatus();
  }

  #touchAll(ids: Iterable<string> = []): void {
    for (const id of ids) this.#touch(id);
  }

  #touch(id: string): void {
    this.#touched.push(id);
    this.#came.push(performance.now());
    this.#timer ??= window.setTimeout(() => this.#tell(document.hidden ? Infinity : LONGEST_TELL), TELL_EVERY);
  }

  /** Tells what has changed. If it takes longer than so many ms, the rest is told in a task of its own. */
  #tell(longest: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const touched = this.#touched, came = this.#came, now = this.now(), until = performance.now() + longest;
    const changed = new Set<Device>(), gone = new Set<string>();
    let index = 0;
    for (; index < touched.length; index++) {
      if (index % AT_ONCE === AT_ONCE - 1 && performance.now() > until) break;
      const id = touched[index]!, position = this.#newest(id);
      const device = position && this.#keep(id, position, came[index]!, now);
      if (device) changed.add(device);
      else if (this.devices.delete(id)) gone.add(id);
    }
    this.#touched = touched.slice(index);
    this.#came = came.slice(index);
    if (this.#touched.length > 0) this.#timer = window.setTimeout(() => this.#tell(LONGEST_TELL));
    if (changed.size > 0 || gone.size > 0) this.emit("change", { changed, gone });
  }

  /** Notes where a device is; undefined if a filter hides it. */
  #keep(id: string, position: Position, came: number, now: number): Device | undefined {
    const { only, selected } = this.#state.shown;
    let device = this.devices.get(id);
    const events = device?.events ?? new Set<string>();
    if (this.#events.size > 0 || events.size > 0) this.#takePart(id, events);
    if (only && events.size === 0 && id !== selected) return undefined;
    if (device?.fix.position.timestamp === position.timestamp) return device;
    const fix = { position, at: this.#timeOf(position, now), came };
    if (device) {
      device.before = device.fix;
      device.fix = fix;
    } else {
      device = { id, fix, before: undefined, events };
      this.devices.set(id, device);
    }
    // Of a device that is new here the position may be an old one.
    const age = device.before ? 0 : Math.max(0, now - fix.at);
    this.heard = Math.max(this.heard ?? -Infinity, came - age);
    return device;
  }

  /** Notes of which events a device is. */
  #takePart(id: string, events: Set<string>): void {
    for (const [name, { devices }] of this.#events) {
      if (devices.has(id)) events.add(name);
      else events.delete(name);
    }
    for (const name of events) if (!this.#events.has(name)) events.delete(name);
  }

  /** When a position is of, ms by the server's clock; one from the future counts as of now. */
  #timeOf({ timestamp }: Position, now = this.now()): number {
    return Math.min(millis(timestamp), now);
  }

  /** The newest position of a device in any of the subscriptions. */
  #newest(id: string): Position | undefined {
    let newest = this.#tooMany === undefined ? this.#area?.devices.get(id) : undefined;
    if (this.#events.size === 0 && id !== this.#state.shown.selected) return newest;
    const look = (subscription: Subscription | undefined) => {
      const position = subscription?.devices.get(id);
      if (position && (!newest || this.#timeOf(position) > this.#timeOf(newest))) newest = position;
    };
    for (const subscription of this.#events.values()) look(subscription);
    if (id === this.#state.shown.selected) look(this.#selected);
    return newest;
  }

  // How it is doing

  #showError(message: string): void {
    this.#error = message;
    clearTimeout(this.#forgetError);
    this.#forgetError = window.setTimeout(() => {
      this.#error = undefined;
      this.#tellStatus();
    }, SHOW_ERROR);
    this.#tellStatus();
  }

  #statusNow(): Status {
    const { state } = this.#client;
    return {
      connection: state.name,
      until: state.name === "waiting" ? state.until : undefined,
      message: "why" in state ? state.why.message : this.#error,
      tooMany: this.#tooMany === undefined ? undefined : { message: this.#tooMany },
      refused: new Map(this.#refused),
    };
  }

  #tellStatus(): void {
    this.#status = this.#statusNow();
    this.emit("status", this.#status);
  }
}
