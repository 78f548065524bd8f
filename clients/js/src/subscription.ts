// Subscription: what a user of the client holds: the devices of one topic, and the events about them.

import { areaTopic } from "./box.ts";
import type { Channel } from "./channel.ts";
import type { ProcessorClient } from "./client.ts";
import { Devices } from "./devices.ts";
import { dispose } from "./dispose.ts";
import { Emitter } from "./emitter.ts";
import { Reader } from "./reader.ts";
import type { Box, Change, Position, ServerError, Snapshot, State, SubscribeOptions, SubscriptionEvents } from "./types.ts";

/** Why something is closed that its user has closed. */
export const CLOSED_HERE = { code: 1000, message: "closed here" };

/** A subscription to one topic. Its devices stay as they were while the connection is away. */
export class Subscription extends Emitter<SubscriptionEvents> implements AsyncIterable<Change>, Disposable {
  /** The newest position of each device in the topic: live, read-only. */
  readonly devices: ReadonlyMap<string, Position>;
  /** @internal */
  options: SubscribeOptions;
  /** @internal */
  readonly channel: Channel;
  readonly #client: ProcessorClient;
  /** What each iterator has not given yet: of each device the newest. */
  readonly #readers = new Set<Reader>();
  #closed: State | undefined;
  /** It has had its first snapshot. */
  #isTold = false;

  /** @internal */
  constructor(client: ProcessorClient, channel: Channel, options: SubscribeOptions) {
    super();
    this.#client = client;
    this.channel = channel;
    this.devices = new Devices(channel.devices);
    this.options = options;
    options.signal?.addEventListener("abort", this.close);
  }

  /** The topic, as the server was asked for it; of an area, where it was last moved to. */
  get topic(): string {
    return this.channel.next ?? this.channel.topic;
  }

  /** What its connection is doing; `closed` when the subscription or its client is. */
  get state(): State {
    return this.#closed ?? this.#client.state;
  }

  /** True while `devices` are kept true by the server; false before the first snapshot, and while the connection is away. */
  get live(): boolean {
    return !this.#closed && this.channel.held;
  }

  /** Why the server does not serve it, if it refused; it is asked again with the next connection, and by `setArea`. */
  get refused(): ServerError | undefined {
    return this.channel.refused;
  }

  /** Moves an area; its devices change when the server has answered, in one snapshot. Throws if it is no area, or closed. */
  setArea(box: Box): void {
    if (!this.channel.box) throw TypeError(`${this.topic} is not an area`);
    if (this.#closed) throw TypeError("this subscription is closed");
    this.#client.move(this.channel, areaTopic(box));
  }

  /** Asks for updates at most so often, in ms, from now on; undefined: every update. The server answers with a new snapshot. */
  setEvery(everyMs: number | undefined): void {
    this.options = { ...this.options, everyMs };
    this.#client.changed();
  }

  /** Ends it; iterators end too. May be called more than once, and without the subscription (it is bound to it). */
  readonly close = (): void => this.end({ name: "closed", why: CLOSED_HERE });

  /** For `using`. */
  [dispose](): void {
    this.close();
  }

  /**
   * Where devices are: first those that are known, then whoever moves or leaves. However slowly it is read, it holds the newest
   * of each device only. Ends when the subscription does.
   */
  [Symbol.asyncIterator](): AsyncIterator<Change> {
    const reader = new Reader(this.devices, () => this.#readers.delete(reader));
    if (this.#closed) reader.end();
    else this.#readers.add(reader);
    return reader;
  }

  /** @internal A device has moved or, without `position`, has left. */
  changed(id: string, position: Position | undefined): void {
    for (const reader of this.#readers) reader.add(id, position);
  }

  /** @internal Devices have changed; whoever is told for the first time is told of all. */
  snapshot(changes: Snapshot | undefined): void {
    if (!this.#isTold) changes = { positions: [...this.devices.values()], left: [] };
    this.#isTold = true;
    if (changes) this.emit("snapshot", changes);
  }

  /** @internal */
  end(state: State): void {
    if (this.#closed) return;
    this.#closed = state;
    this.options.signal?.removeEventListener("abort", this.close);
    this.#client.leave(this);
    this.emit("statechange", state);
    for (const reader of [...this.#readers]) reader.end();
  }
}
