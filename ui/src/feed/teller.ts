// Teller: tells the page what has changed, in packets. The next one waits until the page has taken the last, so that a page that is busy
// is sent the newest of each device, and never has more than one packet to work on.

import type { Position } from "../../../clients/js/src/index.ts";
import { millis } from "../time.ts";
import { PacketWriter } from "./packet.ts";
import type { Packet } from "./packet.ts";

/** What has changed is told at most so often, ms. */
const TELL_EVERY = 100;
/** Most devices in a packet: the page works one off in a few ms, and answers to a hand between two. */
export const MOST_IN_PACKET = 1_000;

/** What is known of the devices. */
export interface Source {
  /** Where a device is; undefined if it is gone. `now`: the server's time. */
  newest(id: string, now: number): Position | undefined;
  eventsOf(id: string): readonly string[];
}

/** What the page has been told of a device. */
interface Told {
  readonly number: number;
  /** The timestamp of its position, ms since 1970. */
  time: number;
  attributes: string;
  events: readonly string[];
}

export class Teller {
  readonly #source: Source;
  readonly #now: () => number;
  readonly #send: (packet: Packet) => void;
  readonly #told = new Map<string, Told>();
  /** Devices that something was heard of, and when, by `performance.now()`. */
  readonly #touched = new Map<string, number>();
  /** Numbers that were given to devices that are gone. */
  readonly #free: number[] = [];
  #heard: number | undefined;
  #isUnderWay = false;
  /** The next packet goes as soon as the page has taken that which is under way. */
  #isDue = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `now` is the server's time. */
  constructor(source: Source, now: () => number, send: (packet: Packet) => void) {
    this.#source = source;
    this.#now = now;
    this.#send = send;
  }

  /** The page has been sent, and has taken, all that there is. */
  get isDone(): boolean {
    return this.#touched.size === 0 && !this.#isUnderWay;
  }

  /** Something was heard of a device. */
  touch(id: string): void {
    this.#touched.set(id, performance.now());
    this.#wait();
  }

  /** All that the page was told of may be otherwise. */
  touchAll(): void {
    for (const id of this.#told.keys()) this.touch(id);
  }

  /** Tells at once, or as soon as the page has taken what is under way. */
  tell(): void {
    if (this.#isUnderWay) {
      this.#isDue = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#touched.size > 0 && !this.#isUnderWay) this.#sendNext();
  }

  /** The page has taken what was under way. */
  taken(): void {
    const isDue = this.#isDue;
    this.#isUnderWay = this.#isDue = false;
    if (isDue) this.tell();
    else if (this.#touched.size > 0) this.#wait();
  }

  #wait(): void {
    if (!this.#isUnderWay) this.#timer ??= setTimeout(() => this.tell(), TELL_EVERY);
  }

  /** Sends the next packet, if there is something to say of the next devices. */
  #sendNext(): void {
    const now = this.#now(), writer = new PacketWriter(Math.min(this.#touched.size, MOST_IN_PACKET));
    let count = 0;
    for (const [id, came] of this.#touched) {
      if (count++ === MOST_IN_PACKET) break;
      this.#touched.delete(id);
      this.#write(writer, id, came, now);
    }
    if (writer.isEmpty) return;
    this.#isUnderWay = true;
    this.#isDue = this.#touched.size > 0;
    this.#send(writer.packet(this.#heard));
  }

  #write(writer: PacketWriter, id: string, came: number, now: number): void {
    const position = this.#source.newest(id, now), told = this.#told.get(id);
    if (!position) {
      if (told) this.#writeGone(writer, id, told.number);
      return;
    }
    const events = this.#source.eventsOf(id), time = millis(position.timestamp);
    if (told?.time !== time) this.#hear(came, told ? 0 : now - time);
    else if (isSame(events, told.events)) return;
    const attributes = position.attributes === undefined ? "" : JSON.stringify(position.attributes);
    const number = told?.number ?? this.#free.pop() ?? this.#told.size;
    writer.add(number, position, time, Math.min(time, now), came, {
      id: told ? null : id, attributes: attributes === (told?.attributes ?? "") ? null : attributes,
      events: isSame(events, told?.events ?? NO_EVENTS) ? null : events,
    });
    if (!told) this.#told.set(id, { number, time, attributes, events });
    else {
      told.time = time;
      told.attributes = attributes;
      told.events = events;
    }
  }

  #writeGone(writer: PacketWriter, id: string, number: number): void {
    writer.remove(number);
    this.#told.delete(id);
    this.#free.push(number);
  }

  /** Something came at a time. Of a device that is new here it may be old news. */
  #hear(came: number, age: number): void {
    this.#heard = Math.max(this.#heard ?? -Infinity, came - Math.max(0, age));
  }
}

const NO_EVENTS: readonly string[] = [];

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}
