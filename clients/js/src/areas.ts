// Areas: the devices of all areas of a connection together (docs/wire.md, "Several areas on one connection").

import { isInside } from "./box.ts";
import type { Channel } from "./channel.ts";
import type { Box, Position } from "./types.ts";

/** What is known of a device, and when it came, in ms by the server's clock. */
interface Known {
  readonly position: Position;
  readonly came: number;
}

/** When a position counts as of: its timestamp, but not later than it came. Parsed when it is asked for, as it seldom is. */
const timeOf = (timestamp: string, came: number) => Math.min(Date.parse(timestamp), came);

/**
 * A position in an area does not say for which one it was sent, so there is one map for all of them, and each area shows what of
 * it is inside. The rules are those of the wire contract.
 */
export class Areas {
  readonly #known = new Map<string, Known>();
  readonly #channels = new Set<Channel>();
  readonly #now: () => number;
  /** The latest that the server's time has been: this machine's clock may be set back. */
  #latest = 0;

  /** `now` is the server's time. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A position in any of them. */
  position(position: Position): void {
    this.#take(position, undefined);
  }

  /** A device went out of `box`, at `timestamp`. */
  left(box: Box, id: string, timestamp: string): void {
    const known = this.#known.get(id);
    if (
      known && isInside(box, known.position) &&
      timeOf(known.position.timestamp, known.came) <= timeOf(timestamp, this.#clock())
    ) this.#forget(id, timestamp);
  }

  /**
   * The answer to a subscription of `channel` to `topic` and its `box`. Where it took the place of the area that the channel had,
   * `left` are those that are no longer inside; without it, the snapshot is whole.
   */
  snapshot(channel: Channel, topic: string, box: Box, positions: readonly Position[], left: readonly string[] | undefined): void {
    const old = left && channel.box;
    // Whatever is there, the snapshot says all: what it does not have is gone.
    const isSaid = (position: Position) => isInside(box, position) && !(old && isInside(old, position));
    channel.topic = topic;
    channel.box = box;
    this.#channels.add(channel);
    channel.snapshot(() => {
      const there = new Set(positions.map(({ device_id }) => device_id));
      for (const [id, { position }] of this.#known) {
        if (isSaid(position) && !there.has(id)) this.#forget(id);
      }
      for (const id of left ?? []) {
        const known = this.#known.get(id);
        if (known && (isInside(box, known.position) || !this.#isInAny(known.position))) this.#forget(id);
      }
      for (const position of positions) this.#take(position, isSaid);
      // What was in the old box only.
      for (const [id, position] of channel.devices) {
        if (isInside(box, position)) continue;
        channel.remove(id);
        if (!this.#isInAny(position)) this.#known.delete(id);
      }
      // What was known for another area and is inside this one too.
      for (const { position } of this.#known.values()) {
        if (isInside(box, position)) channel.set(position);
      }
    });
  }

  /** An area has ended. */
  end(channel: Channel): void {
    if (!this.#channels.delete(channel)) return;
    for (const [id, position] of channel.devices) {
      channel.remove(id);
      if (!this.#isInAny(position)) this.#known.delete(id);
    }
  }

  /** Takes a position, unless what is known is newer and `isSaid` does not say that it counts all the same. */
  #take(position: Position, isSaid: ((position: Position) => boolean) | undefined): void {
    const id = position.device_id;
    const known = this.#known.get(id);
    const { timestamp } = position;
    const came = this.#clock();
    // Texts of timestamps sort as their times do, and nearly always the later one comes later.
    if (
      known && timestamp < known.position.timestamp &&
      timeOf(timestamp, came) < timeOf(known.position.timestamp, known.came) && !isSaid?.(known.position)
    ) return;
    let isInAny = false;
    for (const channel of this.#channels) {
      if (channel.box && isInside(channel.box, position)) {
        isInAny = true;
        channel.set(position);
      } else {
        channel.remove(id, timestamp);
      }
    }
    // What is from the future came before it was told of here, and may be followed by what is older than this moment.
    if (isInAny) this.#known.set(id, { position, came: isSaid && came < Date.parse(timestamp) ? -Infinity : came });
    else this.#known.delete(id);
  }

  #forget(id: string, timestamp?: string): void {
    this.#known.delete(id);
    for (const channel of this.#channels) channel.remove(id, timestamp);
  }

  #isInAny(position: Position): boolean {
    for (const { box } of this.#channels) if (box && isInside(box, position)) return true;
    return false;
  }

  #clock(): number {
    return (this.#latest = Math.max(this.#latest, this.#now()));
  }
}
