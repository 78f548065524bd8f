// TrailStore: where each device has been since the page was opened, thinned and bounded.

import { eastward, metres, X_UNITS, Y_UNITS } from "./projection.ts";
import { isJump } from "./motion.ts";

/** Most points of one device. */
export const MOST_POINTS = 512;
/** Room for points of all devices. */
export const MOST_IN_ALL = 1_000_000;
/** A straight way gets a point every so often nevertheless, ms. */
const LONGEST_STRAIGHT = 60_000;
/** A turn by less than this is none: cosine of 4 degrees. */
const STRAIGHT = Math.cos((4 * Math.PI) / 180);
/** Metres: what is nearer is the same place. */
const SAME = 2;
/** Silence is a gap from so long on, ms, and only where it is so many times as long as usual. */
const SHORTEST_GAP = 60_000, GAP_FACTOR = 5;
/** Words of a point: x, y with the lowest bit of its word for "a gap leads here", and when, in ticks. */
const WORDS = 3;
/** Ms: fine enough, and a word of them is more than a year. */
const TICK = 10;
const FIRST_ROOM = 8;
/** Trails that are thinned at once to make room. */
const MOST_THINNED = 64;

/** Points of one device. */
class Trail {
  words = new Uint32Array(FIRST_ROOM * WORDS);
  length = 0;
  /** How long it usually is from one fix to the next, ms. */
  usual = 0;

  get room(): number {
    return this.words.length / WORDS;
  }

  x(index: number): number {
    return this.words[index * WORDS]!;
  }
  y(index: number): number {
    return this.words[index * WORDS + 1]! >>> 1;
  }
  gap(index: number): boolean {
    return (this.words[index * WORDS + 1]! & 1) === 1;
  }
  at(index: number): number {
    return this.words[index * WORDS + 2]!;
  }
  set(index: number, x: number, y: number, gap: boolean, at: number): void {
    this.words[index * WORDS] = x;
    this.words[index * WORDS + 1] = y * 2 + Number(gap);
    this.words[index * WORDS + 2] = at;
  }

  /** Drops every second point of the older half; gaps keep both of their ends. */
  thin(): void {
    const half = this.length >> 1;
    let kept = 1;
    for (let index = 1; index < this.length; index++) {
      if (index < half && index % 2 === 1 && !this.gap(index) && !this.gap(index + 1)) continue;
      for (let word = 0; word < WORDS; word++) this.words[kept * WORDS + word] = this.words[index * WORDS + word]!;
      kept++;
    }
    this.length = kept;
  }

  /** Gives back room that is not needed. */
  shrink(): void {
    const room = Math.max(FIRST_ROOM, this.length + 2);
    if (room < this.room) this.words = this.words.slice(0, room * WORDS);
  }
}

/** A point of a trail as others see it, in units of the projection. */
export interface TrailPoint {
  readonly x: number;
  readonly y: number;
  /** Nothing is known of how it got here from the point before. */
  readonly gap: boolean;
}

export class TrailStore {
  readonly #trails = new Map<string, Trail>();
  /** Of devices that are not drawn at the moment, oldest first: the first to be forgotten. */
  readonly #gone = new Set<string>();
  readonly #since: number;
  readonly #budget: number;
  /** Room that all trails have together. */
  room = 0;
  /** Whose turn it is to be thinned. */
  #turn = this.#trails.entries();

  /** `since`: ms since 1970 that no fix of interest is older than. `budget`: room for points of all devices. */
  constructor(since: number, budget = MOST_IN_ALL) {
    this.#since = since;
    this.#budget = budget;
  }

  get devices(): number {
    return this.#trails.size;
  }

  /** A device was at a place, in units of the projection, at a time, ms since 1970. Older fixes than the newest are left out. */
  push(id: string, x: number, y: number, at: number): void {
    const since = Math.min(Math.max(0, Math.round((at - this.#since) / TICK)), 2 ** 32 - 1);
    let trail = this.#trails.get(id);
    if (this.#gone.size > 0) this.#gone.delete(id);
    if (trail === undefined) {
      trail = new Trail();
      this.#trails.set(id, trail);
      this.room += trail.room;
      trail.set(0, x, y, false, since);
      trail.length = 1;
    } else {
      this.#extend(trail, x, y, since);
    }
    if (this.room > this.#budget) this.#save(id);
  }

  #extend(trail: Trail, x: number, y: number, at: number): void {
    const last = trail.length - 1, silence = (at - trail.at(last)) * TICK;
    if (silence <= 0) return;
    const way = metres(trail.x(last), trail.y(last), x, y);
    const gap = isJump(way, silence) || (silence > SHORTEST_GAP && silence > GAP_FACTOR * (trail.usual || SHORTEST_GAP));
    if (!gap) trail.usual += (silence - trail.usual) / (trail.usual === 0 ? 1 : 8);
    if (!gap && way < SAME) {
      trail.words[last * WORDS + 2] = at;
      return;
    }
    if (!gap && isStraight(trail, x, y, at)) return trail.set(last, x, y, trail.gap(last), at);
    if (trail.length === MOST_POINTS) trail.thin();
    if (trail.length === trail.room) {
      const words = new Uint32Array((trail.room + (trail.room >> 1)) * WORDS);
      words.set(trail.words);
      this.room += trail.room >> 1;
      trail.words = words;
    }
    trail.set(trail.length++, x, y, gap, at);
  }

  /** A device is not drawn any more. What is known of its way is kept while there is room. */
  leave(id: string): void {
    if (this.#trails.has(id)) this.#gone.add(id);
  }

  /** Makes room, a little each time, so that no push takes long: forgets devices that are gone, then thins others in turn. */
  #save(keep: string): void {
    const enough = this.#budget * 0.995;
    for (const id of this.#gone) {
      if (this.room <= enough) return;
      this.#forget(id);
    }
    let short: string | undefined;
    for (let step = 0; step < MOST_THINNED && this.room > enough; step++) {
      const [id, trail] = this.#inTurn();
      if (trail.length > FIRST_ROOM) this.#thin(trail);
      else if (id !== keep) short = id;
    }
    // More devices than there is room for even the shortest trails of.
    if (this.room > this.#budget) this.#forget(short ?? this.#inTurn()[0]);
  }

  #inTurn(): [string, Trail] {
    let next = this.#turn.next();
    if (next.done) next = (this.#turn = this.#trails.entries()).next();
    return next.value!;
  }

  #thin(trail: Trail): void {
    this.room -= trail.room;
    trail.thin();
    trail.shrink();
    this.room += trail.room;
  }

  #forget(id: string): void {
    this.room -= this.#trails.get(id)?.room ?? 0;
    this.#trails.delete(id);
    this.#gone.delete(id);
  }

  /** Oldest first. The last one is the newest fix. */
  points(id: string): TrailPoint[] {
    const trail = this.#trails.get(id);
    if (trail === undefined) return [];
    return Array.from({ length: trail.length }, (_, index) => ({ x: trail.x(index), y: trail.y(index), gap: trail.gap(index) }));
  }
}

/** Whether the last point of a trail may be left out, as the way leads straight on from the one before to a new one. */
function isStraight(trail: Trail, x: number, y: number, at: number): boolean {
  const last = trail.length - 1;
  if (last < 1 || trail.gap(last) || (at - trail.at(last - 1)) * TICK > LONGEST_STRAIGHT) return false;
  const ax = eastward(trail.x(last - 1), trail.x(last)) / X_UNITS, ay = (trail.y(last) - trail.y(last - 1)) / Y_UNITS;
  const bx = eastward(trail.x(last), x) / X_UNITS, by = (y - trail.y(last)) / Y_UNITS;
  const dot = ax * bx + ay * by;
  return dot > 0 && dot * dot > STRAIGHT * STRAIGHT * (ax * ax + ay * ay) * (bx * bx + by * by);
}
