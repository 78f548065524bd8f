// AreaView: the devices in what the map shows, or in the part of it that may be seen: one area at the server, which moves with the view.

import type { Box, Position, ServerError, Subscription } from "../../../clients/js/src/index.ts";
import { common, halves } from "../access.ts";
import { MARGIN, cadence, covers, grown, width } from "../area.ts";
import type { Look } from "./messages.ts";

/** An area that the server refused is asked for again so often, ms: there may be fewer devices by then. */
const TRY_AGAIN = 15_000;

/** Where an area may be: in a box that does not cross the antimeridian, and of a view that does on one side of it: the first or the second. */
export interface Limit {
  readonly box: Box;
  readonly half: number;
}

/** Subscribes to an area; calls `served` before a snapshot of it is told of, `refused` before an error is. */
export type Subscribe = (topic: { area: Box }, served: () => void, refused: (error: ServerError) => void, everyMs?: number) => Subscription;

/** Who is told of what happens. */
export interface AreaListener {
  readonly subscribe: Subscribe;
  /** Something was heard of devices. */
  touched(ids: Iterable<string>): void;
  /** The server has refused it for no reason that is known here. */
  refused(error: ServerError): void;
}

export class AreaView {
  /** More devices are there than the server sends: what it said. */
  tooMany: string | undefined;
  /** The server does not allow it. */
  isForbidden = false;
  readonly #limit: Limit | undefined;
  readonly #listener: AreaListener;
  #subscription: Subscription | undefined;
  #look: Look = { box: [0, 0, 0, 0], zoom: 0 };
  #isHidden = false;
  /** The area that was asked for last. */
  #asked: Box | undefined;
  /** It has a margin around what the map shows. */
  #hasMargin = false;
  /** How often it is served. */
  #everyMs: number | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;

  /** Without a limit it is the whole view. */
  constructor(limit: Limit | undefined, listener: AreaListener) {
    this.#limit = limit;
    this.#listener = listener;
  }

  get devices(): ReadonlyMap<string, Position> | undefined {
    return this.tooMany === undefined ? this.#subscription?.devices : undefined;
  }

  /** The server has said what there is, or that it does not send it. */
  get isAnswered(): boolean {
    return !this.#subscription || this.#subscription.live || this.#subscription.refused !== undefined;
  }

  /** The map shows this, or the page is hidden. */
  look(look: Look, isHidden: boolean): void {
    this.#look = look;
    this.#isHidden = isHidden;
    const view = this.#view();
    if (!view) return this.end();
    const everyMs = cadence(look.zoom, isHidden);
    if (!this.#subscription) {
      [this.#asked, this.#hasMargin, this.#everyMs] = [this.#area(view, true), true, everyMs];
      this.#subscription = this.#listener.subscribe({ area: this.#asked }, () => this.#served(), (error) => this.#refused(error), everyMs);
    } else if (this.tooMany !== undefined || everyMs !== this.#everyMs || !covers(this.#asked ?? view, view, look.box)) {
      // Moved and served otherwise at once: only what is new is sent then. Where there are too many, a margin has no room.
      this.#ask(this.tooMany === undefined);
      if (everyMs !== this.#everyMs) this.#subscription.setEvery((this.#everyMs = everyMs));
    }
  }

  end(): void {
    clearTimeout(this.#retry);
    const subscription = this.#subscription;
    if (!subscription) return;
    this.#subscription = this.#asked = this.tooMany = undefined;
    this.isForbidden = false;
    this.#listener.touched(subscription.devices.keys());
    subscription.close();
  }

  /** The part of the view that it is for. */
  #view(): Box | undefined {
    const { box } = this.#look;
    if (!this.#limit) return box;
    const half = halves(box)[this.#limit.half];
    return half && common(half, this.#limit.box);
  }

  /** What to ask for, for this part of the view. */
  #area(view: Box, withMargin: boolean): Box {
    if (!withMargin) return view;
    if (!this.#limit) return grown(view);
    const { box } = this.#look, [x, y] = [width(box) * MARGIN, (box[3] - box[1]) * MARGIN];
    return common([view[0] - x, view[1] - y, view[2] + x, view[3] + y], this.#limit.box) ?? view;
  }

  #ask(withMargin: boolean): void {
    const view = this.#view();
    if (!view) return;
    this.#hasMargin = withMargin;
    this.#asked = this.#area(view, withMargin);
    this.#subscription?.setArea(this.#asked);
  }

  /** A snapshot has come; if it is that which was refused before, all of it can be shown again. */
  #served(): void {
    this.isForbidden = false;
    if (this.tooMany === undefined || this.#subscription?.topic !== `area:${this.#asked}`) return;
    this.tooMany = undefined;
    this.#listener.touched(this.#subscription.devices.keys());
  }

  #refused(error: ServerError): void {
    const { code, message, topic } = error;
    if (code === "forbidden") this.isForbidden = true;
    else if (code !== "too-many-devices") this.#listener.refused(error);
    // Unless another has been asked for since.
    else if (topic === `area:${this.#asked}`) {
      if (this.#hasMargin) return this.#ask(false);
      this.tooMany = message;
      // What is known is of another view: part of this one would look like all of it.
      if (this.#subscription) this.#listener.touched(this.#subscription.devices.keys());
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.tooMany !== undefined && this.look(this.#look, this.#isHidden), TRY_AGAIN);
    }
  }
}
