// Watch: what is subscribed to for what the page shows: the area in view, the events that were asked for, the selected device.

import type { Box, Position, ProcessorClient, ServerError, Subscription } from "../../../clients/js/src/index.ts";
import { HIDDEN_EVERY, cadence, covers, grown } from "../area.ts";
import type { Status } from "../fleet.ts";
import { millis } from "../time.ts";
import type { Look, Wanted } from "./messages.ts";

/** An area that the server refused is asked for again so often, ms: there may be fewer devices by then. */
const TRY_AGAIN = 15_000;
/** An error of the server that is about nothing in particular is shown for so long, ms. */
const SHOW_ERROR = 10_000;
/** How often devices of events are to be told of, ms: who is in view is told of as often as the view needs. */
const EVENT_EVERY = 1_000;

type Timer = ReturnType<typeof setTimeout>;

/** Who is told of what happens. */
export interface Listener {
  /** Something was heard of a device: where it is now, `newest` says, or nothing if it is gone. */
  touched(id: string): void;
  /** All that there is of something that was subscribed to has come; what it touched was said before. */
  snapshot(): void;
  /** How the subscriptions are doing has changed. */
  status(): void;
}

export class Watch {
  readonly #client: ProcessorClient;
  readonly #listener: Listener;
  #look: Look;
  #wanted: Wanted;
  #area: Subscription | undefined;
  readonly #events = new Map<string, Subscription>();
  #selected: Subscription | undefined;
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
  #retry: Timer | undefined;
  #forgetError: Timer | undefined;

  /** `look` is what the map is going to show first. */
  constructor(client: ProcessorClient, look: Look, wanted: Wanted, listener: Listener) {
    this.#client = client;
    this.#look = look;
    this.#wanted = wanted;
    this.#listener = listener;
  }

  /** Subscribes for the first time. */
  begin(): void {
    this.#client.on("statechange", () => this.#listener.status());
    this.#client.on("error", (error) => this.#showError(error.message));
    this.#follow();
  }

  /** The server has said of everything that it was asked for what there is, or that it does not send it. */
  get isAnswered(): boolean {
    const all = [this.#area, this.#selected, ...this.#events.values()];
    return all.every((subscription) => !subscription || subscription.live || subscription.refused);
  }

  get status(): Status {
    const { state } = this.#client;
    return {
      connection: state.name,
      until: state.name === "waiting" ? state.until : undefined,
      message: "why" in state ? state.why.message : this.#error,
      tooMany: this.#tooMany === undefined ? undefined : { message: this.#tooMany },
      refused: new Map(this.#refused),
    };
  }

  /** The map shows something else. */
  look(look: Look): void {
    this.#look = look;
    this.#lookNow();
  }

  /** The page shows something else. */
  want(wanted: Wanted): void {
    this.#wanted = wanted;
    this.#follow();
  }

  /** A page that is hidden needs to be told less often. */
  hide(isHidden: boolean): void {
    if (isHidden === this.#isHidden) return;
    this.#isHidden = isHidden;
    this.#lookNow();
    if (this.#client.state.name === "closed") return;
    for (const subscription of this.#events.values()) subscription.setEvery(this.#eventEvery());
  }

  /** The newest position of a device in any of the subscriptions; undefined if there is none, or a filter hides it. `now`: the server's time. */
  newest(id: string, now: number): Position | undefined {
    let newest = this.#tooMany === undefined ? this.#area?.devices.get(id) : undefined;
    const { only, selected } = this.#wanted;
    if (this.#events.size === 0 && id !== selected) return newest;
    const time = ({ timestamp }: Position) => Math.min(millis(timestamp), now);
    let isInEvent = false;
    const look = (subscription: Subscription | undefined) => {
      const position = subscription?.devices.get(id);
      if (position && (!newest || time(position) > time(newest))) newest = position;
      return position !== undefined;
    };
    for (const subscription of this.#events.values()) isInEvent = look(subscription) || isInEvent;
    if (id === selected) look(this.#selected);
    return only && !isInEvent && id !== selected ? undefined : newest;
  }

  /** The names of the events that a device takes part in, of those that were asked for. */
  eventsOf(id: string): readonly string[] {
    if (this.#events.size === 0) return NO_EVENTS;
    const names: string[] = [];
    for (const [name, { devices }] of this.#events) if (devices.has(id)) names.push(name);
    return names;
  }

  // What is subscribed to

  /** Subscribes to what the page shows now. */
  #follow(): void {
    if (this.#client.state.name === "closed") return;
    const { events, only, selected } = this.#wanted;
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
    this.#listener.status();
  }

  #lookNow(): void {
    if (this.#wanted.only || this.#client.state.name === "closed") return;
    const { box, zoom } = this.#look;
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
    const { box } = this.#look;
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
    this.#retry = setTimeout(() => this.#tooMany !== undefined && this.#lookNow(), TRY_AGAIN);
  }

  #eventEvery(): number {
    return this.#isHidden ? HIDDEN_EVERY : EVENT_EVERY;
  }

  /** Subscribes; calls `served` before a snapshot is told of, `refused` before an error is. */
  #subscribe(
    topic: string | { area: Box }, served: () => void, refused: (error: ServerError) => void, everyMs?: number,
  ): Subscription {
    const subscription = this.#client.subscribe(topic, { everyMs });
    subscription.on("snapshot", ({ positions, left }) => {
      served();
      for (const { device_id } of positions) this.#listener.touched(device_id);
      this.#touchAll(left);
      this.#listener.snapshot();
    });
    subscription.on("position", ({ device_id }) => this.#listener.touched(device_id));
    subscription.on("left", ({ device_id }) => this.#listener.touched(device_id));
    subscription.on("error", (error) => {
      refused(error);
      this.#listener.status();
    });
    return subscription;
  }

  #end(subscription: Subscription | undefined): void {
    if (!subscription) return;
    this.#touchAll(subscription.devices.keys());
    subscription.close();
  }

  #touchAll(ids: Iterable<string> = []): void {
    for (const id of ids) this.#listener.touched(id);
  }

  #showError(message: string): void {
    this.#error = message;
    clearTimeout(this.#forgetError);
    this.#forgetError = setTimeout(() => {
      this.#error = undefined;
      this.#listener.status();
    }, SHOW_ERROR);
    this.#listener.status();
  }
}

const NO_EVENTS: readonly string[] = [];
