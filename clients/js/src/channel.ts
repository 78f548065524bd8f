// Channel: one topic of a client: what the server has of it, the devices in it, and the subscriptions that share it.

import { boxOf } from "./box.ts";
import type { Subscription } from "./subscription.ts";
import type { Box, Left, Position, ServerError, Snapshot, SubscriptionEvents } from "./types.ts";

/** A request that has not been answered. */
export interface Asked {
  readonly id: string;
  readonly topic: string;
}

/** How the server is to serve a topic. */
export interface Service {
  readonly every_ms: number | undefined;
  readonly batch: boolean;
}

/** One topic, however many subscriptions there are to it: the server knows one of each name on a connection. */
export class Channel {
  /** The topic that the server has, or is to have first. */
  topic: string;
  /** Of an area: the box that `devices` are of. */
  box: Box | undefined;
  /** The area that is to take its place. */
  next: string | undefined;
  readonly devices = new Map<string, Position>();
  readonly subscriptions = new Set<Subscription>();
  asked: Asked | undefined;
  /** The server has answered on this connection: what is in `devices` is kept true. */
  held = false;
  /** How the server was asked to serve it. */
  service: Service = { every_ms: undefined, batch: true };
  /** The server's refusal; it is asked again when there is a reason to. */
  refused: ServerError | undefined;
  /** While a snapshot is applied: what it changes. */
  #changes: { positions: Position[]; left: string[] } | undefined;

  constructor(topic: string) {
    this.topic = topic;
    this.box = boxOf(topic);
  }

  /** How all its subscriptions together want it: as often as the most impatient one. */
  wanted(): Service {
    const all = [...this.subscriptions].map(({ options }) => options);
    const every = Math.min(...all.map(({ everyMs = 0 }) => everyMs));
    return { every_ms: every || undefined, batch: all.some(({ batch = true }) => batch) };
  }

  /** A device is there now. */
  set(position: Position): void {
    const id = position.device_id;
    // A device has one position for one time (docs/posting.md): the same again, in an answer or a second area's stream.
    if (this.devices.get(id)?.timestamp === position.timestamp) return;
    this.devices.set(id, position);
    if (this.#changes) this.#changes.positions.push(position);
    else this.emit("position", position);
    for (const subscription of this.subscriptions) subscription.changed(id, position);
  }

  /** A device is no longer there. */
  remove(id: string, timestamp?: string): void {
    if (!this.devices.delete(id)) return;
    const left: Left = timestamp === undefined ? { device_id: id } : { device_id: id, timestamp };
    if (this.#changes) this.#changes.left.push(id);
    else this.emit("left", left);
    for (const subscription of this.subscriptions) subscription.changed(id, undefined);
  }

  /** These are there, and no others. */
  replace(positions: readonly Position[]): void {
    this.snapshot(() => {
      const there = new Set(positions.map(({ device_id }) => device_id));
      for (const id of this.devices.keys()) if (!there.has(id)) this.remove(id);
      for (const position of positions) this.set(position);
    });
  }

  /** What `apply` does to the devices is told as one snapshot. */
  snapshot(apply: () => void): void {
    const changes: Snapshot = (this.#changes = { positions: [], left: [] });
    apply();
    this.#changes = undefined;
    for (const subscription of this.subscriptions) subscription.snapshot(changes);
  }

  emit<Name extends keyof SubscriptionEvents>(name: Name, event: SubscriptionEvents[Name]): void {
    for (const subscription of this.subscriptions) subscription.emit(name, event);
  }
}
