// Messages between the page and its feed: the worker that has the connection to the server.

import type { Box } from "../../../clients/js/src/index.ts";
import type { Status } from "../fleet.ts";
import type { Shown } from "../state.ts";
import type { Packet } from "./packet.ts";

/** What the map shows. */
export interface Look {
  readonly box: Box;
  readonly zoom: number;
}

/** What else the page shows, as far as it decides what is subscribed to. */
export type Wanted = Pick<Shown, "events" | "only" | "selected">;

/** From the page to the feed. */
export type Command =
  /** The first one. */
  | { readonly type: "open"; readonly url: string; readonly look: Look; readonly wanted: Wanted; readonly token: string | undefined }
  /** Connect anew, with this token. */
  | { readonly type: "token"; readonly token: string }
  | { readonly type: "look"; readonly look: Look }
  | { readonly type: "want"; readonly wanted: Wanted }
  /** The page has been hidden for a while, or can be seen again. */
  | { readonly type: "hide"; readonly isHidden: boolean }
  /** The page or its network is back, perhaps after a long sleep. */
  | { readonly type: "wake" }
  /** The packet that was sent last has been taken over: the page is ready for the next. */
  | { readonly type: "taken" }
  /** Where all devices are is asked for; `everywhere` answers. */
  | { readonly type: "everywhere" };

/** From the feed to the page. */
export type Report =
  | { readonly type: "packet"; readonly packet: Packet; readonly clock: Clock }
  | {
    readonly type: "status"; readonly status: Status; readonly clock: Clock;
    /** The server has said of everything that it was asked for what there is, and the page has been told all of it. */
    readonly isComplete: boolean;
  }
  /** The box around all devices, also those out of view; undefined if that cannot be known now. */
  | { readonly type: "everywhere"; readonly box: Box | undefined };

/** What times of the feed mean to the page. */
export interface Clock {
  /** Ms that the server's clock is ahead of this machine's. */
  readonly ahead: number;
  /** What `performance.now()` of the feed counts from, ms since 1970 (`performance.timeOrigin`). */
  readonly origin: number;
}

/** A worker as the page sees it, and the page as the worker does. */
export interface Port<Out, In> {
  postMessage(message: Out, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<In>) => void) | null;
}
