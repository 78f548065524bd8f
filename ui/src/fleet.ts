// Fleet: the devices that the page knows, of the area in view and of the events that were asked for.

import { Emitter } from "./emitter.ts";
import type { Device } from "./device.ts";

export interface FleetEvents {
  /** Several times a second while something moves: devices that are new, have moved or belong to other events; those gone. Each is there once. */
  change: { changed: readonly Device[]; gone: readonly string[] };
  /** How the subscriptions are doing has changed. */
  status: Status;
}

/** What the status line says. */
export interface Status {
  readonly connection: "idle" | "connecting" | "connected" | "waiting" | "closed";
  /** While waiting: when it tries again, ms since 1970 by this machine's clock. */
  readonly until: number | undefined;
  /** Why it is waiting or closed, or what the server refused. */
  readonly message: string | undefined;
  /** More devices are in view than the server sends: how many, where it said so. */
  readonly tooMany: { readonly message: string } | undefined;
  /** Events that the server refused, with its message. */
  readonly refused: ReadonlyMap<string, string>;
}

/** The devices. Those that a filter hides are not in it. */
export interface Fleet extends Emitter<FleetEvents> {
  readonly devices: ReadonlyMap<string, Device>;
  readonly status: Status;
  /** When the page last heard of any device, ms by `performance.now()`. */
  readonly heard: number | undefined;
  /** The server's time, ms since 1970. */
  now(): number;
}
