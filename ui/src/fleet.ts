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
  /**
   * Whether the server lets this page in: it does, or nothing is known; it wants a token; it has not accepted the one that it was given,
   * or that has ended, for the reason that `message` has; it has taken access away.
   */
  readonly access: "open" | "needed" | "refused" | "ended";
  /** What the server lets this page read: topics, beginnings of topics with a `*`, areas; undefined if it has said nothing of that. */
  readonly mayRead: readonly string[] | undefined;
  /** What of the page the server does not allow: the area in view; the selected device, by its id. */
  readonly forbidden: { readonly view: boolean; readonly device: string | undefined };
}

/** A page that has not begun to connect. */
export const IDLE: Status = {
  connection: "idle", until: undefined, message: undefined, tooMany: undefined, refused: new Map(), access: "open", mayRead: undefined,
  forbidden: { view: false, device: undefined },
};

/** The devices. Those that a filter hides are not in it. */
export interface Fleet extends Emitter<FleetEvents> {
  readonly devices: ReadonlyMap<string, Device>;
  readonly status: Status;
  /** When the page last heard of any device, ms by `performance.now()`. */
  readonly heard: number | undefined;
  /** The server's time, ms since 1970. */
  now(): number;
}
