// LiveFleet: the fleet as the feed tells of it: the worker that has the connection to the server.

import type { Box } from "../../clients/js/src/index.ts";
import type { Device, Fix } from "./device.ts";
import { Emitter } from "./emitter.ts";
import type { Clock, Command, Look, Port, Report, Wanted } from "./feed/messages.ts";
import { AT, CAME, FIELDS, NUMBER, TIME } from "./feed/packet.ts";
import type { Packet } from "./feed/packet.ts";
import { Attributes, PackedPosition } from "./feed/position.ts";
import { IDLE } from "./fleet.ts";
import type { Fleet, FleetEvents } from "./fleet.ts";
import type { PageState, Shown } from "./state.ts";

/** A page that has been hidden for so long, ms, needs to be told less often. */
const HIDDEN = 15_000;

/** A device, and what the next packets leave out as it is the same. */
interface Known {
  readonly device: Device;
  /** The timestamp of its position, ms since 1970. */
  time: number;
  attributes: Attributes;
}

export class LiveFleet extends Emitter<FleetEvents> implements Fleet {
  readonly devices = new Map<string, Device>();
  heard: number | undefined;
  status = IDLE;
  /** All that there is of what the page shows has come, as far as the server sends it. */
  isComplete = false;
  readonly #feed: Port<Command, Report>;
  /** By their numbers. */
  readonly #known: Known[] = [];
  /** Ms that the server's clock is ahead of this machine's. */
  #ahead = 0;
  /** Those who wait to be told where all devices are. */
  readonly #asking: ((box: Box | undefined) => void)[] = [];

  /** `url` is that of the live server; `look` is what the map is going to show first; `token`, if there is one, is shown to the server. */
  constructor(feed: Port<Command, Report>, url: string, state: PageState, look: Look, token?: string) {
    super();
    this.#feed = feed;
    feed.onmessage = ({ data }) => this.#take(data);
    this.#say({ type: "open", url, look, wanted: wantedOf(state.shown), token });
    state.on("change", ({ now, before }) => {
      if (now.events !== before.events || now.only !== before.only || now.selected !== before.selected) this.#say({ type: "want", wanted: wantedOf(now) });
    });
    this.#watchPage();
  }

  now(): number {
    return Date.now() + this.#ahead;
  }

  /** The map shows something else. */
  look(box: Box, zoom: number): void {
    this.#say({ type: "look", look: { box, zoom } });
  }

  /** Shows the server this token from now on, on a new connection. */
  giveToken(token: string): void {
    this.#say({ type: "token", token });
  }

  /** The box around all devices, also those out of view; undefined if that cannot be known now. */
  everywhere(): Promise<Box | undefined> {
    return new Promise((resolve) => {
      this.#asking.push(resolve);
      this.#say({ type: "everywhere" });
    });
  }

  /** The feed has failed. If it has begun before, it goes on, and what went wrong is on the console. */
  fail(why: string): void {
    if (this.status.connection !== "idle") return;
    this.status = { ...this.status, connection: "closed", message: why };
    this.emit("status", this.status);
  }

  #say(command: Command): void {
    this.#feed.postMessage(command, []);
  }

  /** The feed, which sees nothing of the page, is told when it is hidden, and when it or its network is back. */
  #watchPage(): void {
    const wake = () => this.#say({ type: "wake" });
    let timer: number | undefined;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(timer);
      if (document.hidden) timer = window.setTimeout(() => this.#say({ type: "hide", isHidden: true }), HIDDEN);
      else {
        this.#say({ type: "hide", isHidden: false });
        wake();
      }
    });
    document.addEventListener("resume", wake);
    for (const name of ["pageshow", "online"]) window.addEventListener(name, wake);
  }

  #take(report: Report): void {
    if (report.type === "everywhere") return this.#asking.shift()?.(report.box);
    this.#ahead = report.clock.ahead;
    if (report.type === "packet") {
      this.#read(report.packet, report.clock);
      this.#say({ type: "taken" });
    } else {
      this.status = report.status;
      this.isComplete = report.isComplete;
      this.emit("status", this.status);
    }
  }

  #read(packet: Packet, clock: Clock): void {
    const since = clock.origin - performance.timeOrigin, { numbers } = packet;
    const gone = packet.gone.map((number) => this.#known[number]!.device.id), changed: Device[] = [];
    for (const id of gone) this.devices.delete(id);
    packet.ids.forEach((id, index) => {
      const first = index * FIELDS, number = numbers[first + NUMBER]!, json = packet.attributes[index], events = packet.events[index];
      const attributes = typeof json === "string" ? new Attributes(json) : undefined;
      const known = id === null ? this.#known[number]! : (this.#known[number] = this.#begin(id, numbers, first, attributes, since));
      if (id === null) move(known, numbers, first, attributes, since);
      if (events) setEvents(known.device.events, events);
      changed.push(known.device);
    });
    if (packet.heard !== undefined) this.heard = packet.heard + since;
    this.emit("change", { changed, gone });
  }

  /** A device that is new. */
  #begin(id: string, numbers: Float64Array, first: number, attributes = NO_ATTRIBUTES, since: number): Known {
    const device: Device = { id, fix: fixOf(id, numbers, first, attributes, since), before: undefined, events: new Set() };
    this.devices.set(id, device);
    return { device, time: numbers[first + TIME]!, attributes };
  }
}

const NO_ATTRIBUTES = new Attributes("");

/** A device that may have moved; only its events may have changed too. */
function move(known: Known, numbers: Float64Array, first: number, attributes: Attributes | undefined, since: number): void {
  const { device } = known, time = numbers[first + TIME]!;
  if (attributes) known.attributes = attributes;
  if (time === known.time) return;
  known.time = time;
  device.before = device.fix;
  device.fix = fixOf(device.id, numbers, first, known.attributes, since);
}

/** `since`: ms that the page's `performance.now()` is ahead of the feed's. */
function fixOf(id: string, numbers: Float64Array, first: number, attributes: Attributes, since: number): Fix {
  return { position: new PackedPosition(id, numbers, first, attributes), at: numbers[first + AT]!, came: numbers[first + CAME]! + since };
}

function setEvents(events: Set<string>, names: readonly string[]): void {
  events.clear();
  for (const name of names) events.add(name);
}

function wantedOf({ events, only, selected }: Shown): Wanted {
  return { events, only, selected };
}
