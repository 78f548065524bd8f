// DeviceBuffer: what is drawn of each device, as the bytes that the shader reads, and as the CPU reads them for picking.

import type { Device, Fix } from "../device.ts";
import { headingOf, headingOfDevice } from "../heading.ts";
import { isJump, progress, slideOf } from "./motion.ts";
import { eastward, metres, X_UNITS, xOf, Y_UNITS, yOf } from "./projection.ts";
import type { Point } from "./projection.ts";
import { Speeds } from "./speeds.ts";

/** Words of four bytes for each device. */
export const STRIDE = 9;
export const FROM = 0, TO = 2, START = 4, DURATION = 5, AT = 6, HEADING = 7, COLOR = 8;

/** In place of a heading: the device stands. */
export const STANDS = 1000;

/** Devices whose bytes are sent to the graphics card together. */
const BLOCK = 64;
/** Blocks between two changed ones that are sent with them: a few bytes more, but one call less. */
const BRIDGE = 4;

/** Times are float32 seconds since a base; this old, the base is renewed: seconds. Until then they are right to 0.3 ms. */
const BASE_AGE = 3600;

export class DeviceBuffer {
  #bytes = new ArrayBuffer(1024 * STRIDE * 4);
  words = new Uint32Array(this.#bytes);
  floats = new Float32Array(this.#bytes);
  /** By `performance.now()`, ms: what START counts from. */
  #base: number;
  /** By the server's clock, ms: what AT counts from. */
  #serverBase: number;
  /** The device in each slot; undefined where the slot is free. */
  readonly devices: (Device | undefined)[] = [];
  readonly #slots = new Map<string, number>();
  readonly #free: number[] = [];
  /** The fix that each slot has: tells a new fix from a new colour. */
  readonly #fixes: (Fix | undefined)[] = [];
  /** The slots whose fix is the first that is known: when it came says nothing of when it was there, as it came with all others. */
  readonly #firsts = new Set<number>();
  #dirty = new Uint8Array(1024 / BLOCK);
  #changed = false;
  /** The last slide ends then, ms by `performance.now()`. */
  movingUntil = 0;
  /** How fast devices are drawn to move, and how fast they do, worlds per ms: one that comes late catches up. */
  readonly #drawn = new Speeds();
  readonly #own = new Speeds();

  constructor(time: number, serverTime: number) {
    this.#base = time;
    this.#serverBase = serverTime;
  }

  /** Slots in use or freed: those below it are drawn. */
  get end(): number {
    return this.devices.length;
  }

  get size(): number {
    return this.#slots.size;
  }

  get capacity(): number {
    return this.words.length / STRIDE;
  }

  slot(id: string | undefined): number | undefined {
    return id === undefined ? undefined : this.#slots.get(id);
  }

  entries(): IterableIterator<[string, number]> {
    return this.#slots.entries();
  }

  /** `time` as START is counted, seconds. */
  seconds(time: number): number {
    return (time - this.#base) / 1000;
  }

  /** The server's `time` as AT is counted, seconds. */
  serverSeconds(time: number): number {
    return (time - this.#serverBase) / 1000;
  }

  /**
   * Takes over where a device is and its colour (RGBA, red lowest). From where it is drawn at `time` it will slide to its
   * fix, unless `still`, or the way is impossible or longer than `farthest` worlds. Returns its slot.
   */
  put(device: Device, color: number, time: number, still: boolean, farthest: number): number {
    const known = this.#slots.get(device.id);
    const slot = known ?? this.#take(device);
    if (known === undefined) this.#begin(device, slot);
    else if (this.#fixes[slot] !== device.fix) this.#move(device.fix, slot, time, still, farthest);
    this.devices[slot] = device;
    this.words[slot * STRIDE + COLOR] = color;
    this.#touch(slot);
    return slot;
  }

  /** A device that has not been drawn yet. It does not come from anywhere, but may be known to have moved. */
  #begin(device: Device, slot: number): void {
    const { fix } = device, x = xOf(fix.position.longitude), y = yOf(fix.position.latitude);
    this.#set(slot, x, y, x, y, 0, 0, fix);
    this.#firsts.add(slot);
    this.#turn(slot, headingOfDevice(device));
  }

  #move(fix: Fix, slot: number, time: number, still: boolean, farthest: number): void {
    const { words } = this, at = slot * STRIDE, oldX = words[at + TO]!, oldY = words[at + TO + 1]!;
    const x = xOf(fix.position.longitude), y = yOf(fix.position.latitude);
    const ms = (this.serverSeconds(fix.at) - this.floats[at + AT]!) * 1000, way = metres(oldX, oldY, x, y);
    const heading = headingOf(fix.position, eastward(oldX, x), y - oldY, way, ms);
    // It may have been on its way still: whether the way is possible is a question of the fixes, not of what is drawn.
    const { x: fromX, y: fromY } = this.place(slot, time, false, scratch);
    const isSecond = this.#firsts.delete(slot);
    const worlds = Math.max(Math.abs(eastward(fromX, x)) / X_UNITS, Math.abs(y - fromY) / Y_UNITS);
    if (still || worlds === 0 || worlds > farthest || isJump(way, ms)) this.#set(slot, x, y, x, y, 0, 0, fix);
    else {
      const gap = fix.came - (this.#fixes[slot]?.came ?? fix.came), duration = slideOf(isSecond ? Math.max(gap, ms) : gap);
      this.#set(slot, fromX, fromY, x, y, this.seconds(time), duration / 1000, fix);
      this.#drawn.note(worlds / duration, time);
      this.#own.note(Math.max(Math.abs(eastward(oldX, x)) / X_UNITS, Math.abs(y - oldY) / Y_UNITS) / Math.max(duration, ms), time);
      this.movingUntil = Math.max(this.movingUntil, time + duration);
    }
    this.#turn(slot, heading);
  }

  #set(slot: number, fromX: number, fromY: number, x: number, y: number, start: number, duration: number, fix: Fix): void {
    const { words, floats } = this, at = slot * STRIDE;
    words[at + FROM] = fromX;
    words[at + FROM + 1] = fromY;
    words[at + TO] = x;
    words[at + TO + 1] = y;
    floats[at + START] = start;
    floats[at + DURATION] = duration;
    floats[at + AT] = this.serverSeconds(fix.at);
    this.#fixes[slot] = fix;
  }

  #turn(slot: number, heading: number | undefined): void {
    this.floats[slot * STRIDE + HEADING] = heading ?? STANDS;
  }

  /** No device is drawn to move faster, worlds per ms. */
  fastest(time: number): number {
    return this.#drawn.fastest(time);
  }

  /** No device moves faster by itself, worlds per ms: frames are drawn for this, as one that catches up soon has. */
  fastestOwn(time: number): number {
    return this.#own.fastest(time);
  }

  /** Draws a device no longer. */
  remove(id: string): void {
    const slot = this.#slots.get(id);
    if (slot === undefined) return;
    this.#slots.delete(id);
    this.devices[slot] = undefined;
    this.#fixes[slot] = undefined;
    this.#firsts.delete(slot);
    this.#free.push(slot);
    this.words[slot * STRIDE + COLOR] = 0;
    this.#touch(slot);
  }

  /** Where a device is drawn at `time`, in units of the projection, written to `out`. */
  place(slot: number, time: number, still: boolean, out: Point): Point {
    const { words, floats } = this, at = slot * STRIDE;
    const done = still ? 1 : progress(floats[at + START]!, floats[at + DURATION]!, this.seconds(time));
    const fromX = words[at + FROM]!, fromY = words[at + FROM + 1]!;
    out.x = (fromX + Math.round(eastward(fromX, words[at + TO]!) * done)) >>> 0;
    out.y = fromY + Math.round((words[at + TO + 1]! - fromY) * done);
    return out;
  }

  /** Renews the base of the times when it is old. */
  renew(time: number): void {
    const seconds = this.seconds(time);
    if (seconds < BASE_AGE) return;
    this.#base += seconds * 1000;
    this.#serverBase += seconds * 1000;
    for (let at = 0; at < this.end * STRIDE; at += STRIDE) {
      this.floats[at + START]! -= seconds;
      this.floats[at + AT]! -= seconds;
    }
    this.touchAll();
  }

  /** Everything is to be sent again, as after a lost context. */
  touchAll(): void {
    this.#dirty.fill(1);
    this.#changed = true;
  }

  /**
   * In how many ms some device will look older than now, `Infinity` if none: it begins to fade `stale` ms after its fix,
   * does so for a while, and is grey `lost` ms after.
   */
  nextAging(serverTime: number, stale: number, lost: number): number {
    const now = this.serverSeconds(serverTime);
    let next = Infinity;
    for (let slot = 0; slot < this.end; slot++) {
      if (this.devices[slot] === undefined) continue;
      const age = (now - this.floats[slot * STRIDE + AT]!) * 1000;
      if (age >= lost) continue;
      next = Math.min(next, age < stale ? stale - age : age < stale * 2 ? 0 : lost - age);
    }
    return next;
  }

  /** Hands over the runs of slots that have changed since last time. */
  takeDirty(send: (first: number, end: number) => void): void {
    if (!this.#changed) return;
    this.#changed = false;
    const blocks = Math.ceil(this.end / BLOCK);
    let first = -1, last = -1;
    for (let block = 0; block < blocks; block++) {
      if (this.#dirty[block] === 0) continue;
      this.#dirty[block] = 0;
      if (first >= 0 && block - last > BRIDGE) {
        send(first * BLOCK, (last + 1) * BLOCK);
        first = -1;
      }
      if (first < 0) first = block;
      last = block;
    }
    if (first >= 0) send(first * BLOCK, Math.min(this.end, (last + 1) * BLOCK));
  }

  #take(device: Device): number {
    const slot = this.#free.pop() ?? this.devices.length;
    if (slot >= this.capacity) this.#grow();
    this.devices[slot] = device;
    this.#slots.set(device.id, slot);
    return slot;
  }

  #grow(): void {
    const words = this.words;
    this.#bytes = new ArrayBuffer(this.#bytes.byteLength * 2);
    this.words = new Uint32Array(this.#bytes);
    this.floats = new Float32Array(this.#bytes);
    this.words.set(words);
    this.#dirty = new Uint8Array(this.capacity / BLOCK);
    this.touchAll();
  }

  #touch(slot: number): void {
    this.#dirty[Math.floor(slot / BLOCK)] = 1;
    this.#changed = true;
  }
}

const scratch: Point = { x: 0, y: 0 };
