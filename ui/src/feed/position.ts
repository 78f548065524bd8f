// PackedPosition: a position as it came in a packet. What is seldom looked at is made when it is.

import type { Position } from "../../../clients/js/src/index.ts";
import { ACCURACY, ALTITUDE, HEADING, LATITUDE, LONGITUDE, SPEED, TIME } from "./packet.ts";

const NONE: Readonly<Record<string, unknown>> = Object.freeze({});

/** Attributes as JSON, read when they are first asked for. Positions that have the same share them. */
export class Attributes {
  readonly #json: string;
  #value: Readonly<Record<string, unknown>> | undefined;

  /** `json`: an object, or "" for none. */
  constructor(json: string) {
    this.#json = json;
  }

  get value(): Readonly<Record<string, unknown>> {
    return (this.#value ??= this.#json === "" ? NONE : (JSON.parse(this.#json) as Record<string, unknown>));
  }
}

/** One device's place at one time. */
export class PackedPosition implements Position {
  readonly device_id: string;
  readonly latitude: number;
  readonly longitude: number;
  // All objects have all fields, in this order, whatever was said: the engine sees one kind of object.
  readonly altitude?: number;
  readonly accuracy?: number;
  readonly heading?: number;
  readonly speed?: number;
  /** Its timestamp, ms since 1970. */
  readonly time: number;
  readonly #attributes: Attributes;

  /** Reads the numbers of a device, which begin at `first`. */
  constructor(id: string, numbers: Float64Array, first: number, attributes: Attributes) {
    this.device_id = id;
    this.latitude = numbers[first + LATITUDE]!;
    this.longitude = numbers[first + LONGITUDE]!;
    this.time = numbers[first + TIME]!;
    const altitude = numbers[first + ALTITUDE]!, accuracy = numbers[first + ACCURACY]!;
    const heading = numbers[first + HEADING]!, speed = numbers[first + SPEED]!;
    if (!Number.isNaN(altitude)) this.altitude = altitude;
    if (!Number.isNaN(accuracy)) this.accuracy = accuracy;
    if (!Number.isNaN(heading)) this.heading = heading;
    if (!Number.isNaN(speed)) this.speed = speed;
    this.#attributes = attributes;
  }

  get timestamp(): string {
    return new Date(this.time).toISOString();
  }

  get attributes(): Readonly<Record<string, unknown>> {
    return this.#attributes.value;
  }

  /** As the server wrote it. */
  toJSON(): Position {
    const { device_id, timestamp, latitude, longitude, altitude, accuracy, heading, speed, attributes } = this;
    return {
      device_id, timestamp, latitude, longitude, ...(altitude === undefined ? {} : { altitude }), ...(accuracy === undefined ? {} : { accuracy }),
      ...(heading === undefined ? {} : { heading }), ...(speed === undefined ? {} : { speed }), ...(attributes === NONE ? {} : { attributes }),
    };
  }
}
