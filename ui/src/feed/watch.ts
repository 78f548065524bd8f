// Watch: what is subscribed to for what the page shows: the area in view, the events that were asked for, the selected device.

import type { Box, Position, ProcessorClient, ServerError, Subscription } from "../../../clients/js/src/index.ts";
import { areasOf, halves } from "../access.ts";
import { HIDDEN_EVERY } from "../area.ts";
import type { Status } from "../fleet.ts";
import { millis } from "../time.ts";
import { AreaView } from "./areaview.ts";
import type { AreaListener, Limit } from "./areaview.ts";
import type { Look, Wanted } from "./messages.ts";
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
  /** What the server lets this page read; undefined if it has said nothing of that. */
  #mayRead: readonly string[] | undefined;
  /** The area in view; where only some areas may be seen, the parts of it that are in them. */
  #views: readonly AreaView[];
  readonly #areas: AreaListener;
  readonly #events = new Map<string, Subscription>();
  #selected: Subscription | undefined;
  #isHidden = false;
  #error: string | undefined;
  readonly #refused = new Map<string, string>();
  /** The selected device may not be seen wherever it is. */
  #isSelectedForbidden = false;
  #forgetError: Timer | undefined;

  /** `look` is what the map is going to show first. */
  constructor(client: ProcessorClient, look: Look, wanted: Wanted, listener: Listener) {
    this.#client = client;
    this.#look = look;
    this.#wanted = wanted;
    this.#listener = listener;
    this.#areas = {
      subscribe: (topic, served, refused, everyMs) => this.#subscribe(topic, served, refused, everyMs),
      touched: (ids) => this.#touchAll(ids),
      refused: ({ message }) => this.#showError(message),
    };
    this.#views = [this.#view()];
  }

  /** Subscribes for the first time. */
  begin(): void {
    this.#client.on("statechange", () => this.#listener.status());
    this.#client.on("error", (error) => this.#showError(error.message));
    this.#client.on("access", ({ may_read }) => this.#allow(may_read));
    this.#follow();
  }

  /** The server has said of everything that it was asked for what there is, or that it does not send it. */
  get isAnswered(): boolean {
    const all = [this.#selected, ...this.#events.values()];
    return this.#views.every(({ isAnswered }) => isAnswered) &&
      all.every((subscription) => !subscription || subscription.live || subscription.refused);
  }

  /** The areas of which devices may be seen; undefined: all there are. */
  get areas(): readonly Box[] | undefined {
    return areasOf(this.#mayRead);
  }

  get status(): Status {
    const { state } = this.#client;
    const tooMany = this.#views.find(({ tooMany }) => tooMany !== undefined)?.tooMany;
    return {
      connection: state.name,
      until: state.name === "waiting" ? state.until : undefined,
      message: "why" in state ? state.why.message : this.#error,
      tooMany: tooMany === undefined ? undefined : { message: tooMany },
      refused: new Map(this.#refused),
      access: "open",
      mayRead: this.#mayRead,
      forbidden: {
        view: this.#views.some(({ isForbidden }) => isForbidden),
        device: this.#isSelectedForbidden ? this.#wanted.selected : undefined,
      },
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
    let newest: Position | undefined;
    for (const { devices } of this.#views) if ((newest = devices?.get(id))) break;
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
      const [served, refused] = [() => this.#refused.delete(name), (error: ServerError) => this.#refused.set(name, eventText(error))];
      this.#events.set(name, this.#subscribe(`event:${name}`, served, refused, this.#eventEvery()));
    }
    if (this.#selected?.topic !== (selected === undefined ? undefined : `device:${selected}`)) {
      this.#end(this.#selected);
      this.#isSelectedForbidden = false;
      this.#selected = selected === undefined ? undefined
        : this.#subscribe(`device:${selected}`, () => (this.#isSelectedForbidden = false), (error) => this.#selectedRefused(error));
    }
    if (only) for (const view of this.#views) view.end();
    this.#lookNow();
    this.#listener.status();
  }

  #lookNow(): void {
    if (this.#wanted.only || this.#client.state.name === "closed") return;
    for (const view of this.#views) view.look(this.#look, this.#isHidden);
  }

  /** The server says what may be read. */
  #allow(mayRead: readonly string[]): void {
    const before = JSON.stringify(areasOf(this.#mayRead)), areas = areasOf(mayRead);
    this.#mayRead = mayRead;
    if (JSON.stringify(areas) !== before) {
      const old = this.#views;
      this.#views = areas?.flatMap(halves).flatMap((box) => [0, 1].map((half) => this.#view({ box, half }))) ?? [this.#view()];
      this.#lookNow();
      for (const view of old) view.end();
    }
    this.#listener.status();
  }

  #view(limit?: Limit): AreaView {
    return new AreaView(limit, this.#areas);
  }

  #selectedRefused({ code, message }: ServerError): void {
    if (code === "forbidden") this.#isSelectedForbidden = true;
    else this.#showError(message);
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

/** What to say of an event that the server refused. */
function eventText({ code, message }: ServerError): string {
  return code === "forbidden" ? "your access does not include this event" : message;
}
