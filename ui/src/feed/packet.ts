// Packet: what has changed, as numbers in one piece, which go from the feed to the page without being copied, and the few texts that are new.

import type { Position } from "../../../clients/js/src/index.ts";

/** Numbers of each device. */
export const FIELDS = 10;
/**
 * Which is which: the number of the device; where it is; its timestamp, and when it counts as of, ms since 1970; when it came, by
 * `performance.now()` of the feed; the rest as in a position, NaN where it is not said.
 */
export const NUMBER = 0, LATITUDE = 1, LONGITUDE = 2, TIME = 3, AT = 4, CAME = 5, ALTITUDE = 6, ACCURACY = 7, HEADING = 8, SPEED = 9;

/** Devices that are new, have moved or belong to other events, each once; those gone. */
export interface Packet {
  /** `FIELDS` numbers of each device. */
  readonly numbers: Float64Array<ArrayBuffer>;
  /** For each device of `numbers`: its id if it is new, otherwise null. */
  readonly ids: readonly (string | null)[];
  /** For each: its attributes as JSON, "" for none; null: the same as before. */
  readonly attributes: readonly (string | null)[];
  /** For each: the names of its events; null: the same as before. */
  readonly events: readonly (readonly string[] | null)[];
  /** Numbers of devices that are gone. They may be given to others, in the same packet at the earliest. */
  readonly gone: readonly number[];
  /** When the feed last heard of any device, ms by its `performance.now()`; undefined: never. */
  readonly heard: number | undefined;
}

/** What is new of a device beside its position; null: nothing. */
export interface Details {
  readonly id: string | null;
  readonly attributes: string | null;
  readonly events: readonly string[] | null;
}

/** Collects a packet. */
export class PacketWriter {
  readonly #numbers: Float64Array<ArrayBuffer>;
  readonly #ids: (string | null)[] = [];
  readonly #attributes: (string | null)[] = [];
  readonly #events: (readonly string[] | null)[] = [];
  readonly #gone: number[] = [];

  /** `room`: for so many devices. */
  constructor(room: number) {
    this.#numbers = new Float64Array(room * FIELDS);
  }

  /** A device, `time`, `at` and `came` as in a packet. */
  add(number: number, position: Position, time: number, at: number, came: number, { id, attributes, events }: Details): void {
    const numbers = this.#numbers, first = this.#ids.length * FIELDS;
    numbers[first + NUMBER] = number;
    numbers[first + LATITUDE] = position.latitude;
    numbers[first + LONGITUDE] = position.longitude;
    numbers[first + TIME] = time;
    numbers[first + AT] = at;
    numbers[first + CAME] = came;
    numbers[first + ALTITUDE] = position.altitude ?? NaN;
    numbers[first + ACCURACY] = position.accuracy ?? NaN;
    numbers[first + HEADING] = position.heading ?? NaN;
    numbers[first + SPEED] = position.speed ?? NaN;
    this.#ids.push(id);
    this.#attributes.push(attributes);
    this.#events.push(events);
  }

  /** A device is gone. */
  remove(number: number): void {
    this.#gone.push(number);
  }

  get isEmpty(): boolean {
    return this.#ids.length === 0 && this.#gone.length === 0;
  }

  /** The packet; nothing may be added afterwards. */
  packet(heard: number | undefined): Packet {
    const count = this.#ids.length;
    const numbers = count * FIELDS === this.#numbers.length ? this.#numbers : this.#numbers.slice(0, count * FIELDS);
    return { numbers, ids: this.#ids, attributes: this.#attributes, events: this.#events, gone: this.#gone, heard };
  }
}
