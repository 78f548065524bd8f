// What the users of the client see: positions, boxes, options, states and events.

/** One device's place at one time; fields and units as in the W3C Geolocation API. */
export interface Position {
  /** Whose place it is. */
  readonly device_id: string;
  /** When it was there: RFC 3339, UTC, to the millisecond. */
  readonly timestamp: string;
  /** Degrees north, WGS 84. */
  readonly latitude: number;
  /** Degrees east, WGS 84. */
  readonly longitude: number;
  /** Metres above the WGS 84 ellipsoid. */
  readonly altitude?: number;
  /** Metres: the radius of the 95 % confidence circle. */
  readonly accuracy?: number;
  /** Degrees clockwise from true north. */
  readonly heading?: number;
  /** Metres per second. */
  readonly speed?: number;
  /** What else the device reported. */
  readonly attributes?: Readonly<Record<string, unknown>>;
}

/**
 * A box on the map in degrees: west, south, east, north, as a GeoJSON `bbox` (RFC 7946 section 5). West may be more than
 * east: then it crosses the antimeridian.
 */
export type Box = readonly [west: number, south: number, east: number, north: number];

/** What one can subscribe to: `device:<id>`, `event:<id>`, `area:<west>,<south>,<east>,<north>`; or a box. */
export type Topic = string | { readonly area: Box };

/** How the time between two attempts to connect grows. */
export interface Backoff {
  /** The longest pause before the first attempt after a cut, in ms. Default 1,000. */
  readonly first?: number;
  /** The longest pause that it doubles up to, in ms. Default 20,000. */
  readonly most?: number;
}

/** Why a token is asked for: for a new connection; as the present one ends soon; as the server has not accepted the last one, or it has ended. */
export type TokenReason = "connect" | "renew" | "refused";

/** What the server lets this client do, where it asks who somebody is. */
export interface Access {
  /** Who the server takes this client for. */
  readonly subject?: string;
  /** When the token that it was told for ends: RFC 3339, by the server's clock. A newer one that allows the same is no event. */
  readonly expires_at?: string;
  /** What may be subscribed to: topics, beginnings of topics with a `*` (`event:*`), areas (what is inside), or `*`. */
  readonly may_read: readonly string[];
}

/** Options of a client. */
export interface ClientOptions {
  /**
   * Gives the token that the server is sent first on each connection; without one (undefined, ""), it is sent none. It is asked for
   * again before it ends, and once when the server has refused it. What it throws is an `error` event, and the client tries again later.
   */
  readonly getToken?: (why: TokenReason) => string | undefined | Promise<string | undefined>;
  /** Closes the client when it is aborted. */
  readonly signal?: AbortSignal;
  /** How long to wait between attempts to connect. Each pause is chosen at random from 0 to the longest ("full jitter"). */
  readonly backoff?: Backoff;
  /** An attempt to connect, and `getToken`, are given up after so many ms. Default 10,000. */
  readonly connectTimeout?: number;
  /** After so many ms of silence the client asks whether the server is there. Default 25,000. */
  readonly probeAfter?: number;
  /** Without an answer to that within so many ms, it connects anew. Default 8,000. */
  readonly probeTimeout?: number;
  /** The connection is closed so many ms after the last subscription was. Default 1,000. */
  readonly linger?: number;
}

/** Options of a subscription. */
export interface SubscribeOptions {
  /** Updates at most this often, in ms, rounded up to a step that the server has. Default: every update at once. */
  readonly everyMs?: number | undefined;
  /** Several positions in one message: fewer bytes, and less to do for each. Default true. */
  readonly batch?: boolean;
  /** Closes the subscription when it is aborted. */
  readonly signal?: AbortSignal;
}

/** What ended or refused a connection or a subscription. */
export interface Reason {
  /** The close code of the WebSocket (RFC 6455 section 7.4), or `no-token`: `getToken` has failed. */
  readonly code: number | string;
  /** For people. */
  readonly message: string;
}

/** What a client or a subscription is doing. */
export type State =
  /** Nothing is subscribed to, so there is no connection. */
  | { readonly name: "idle" }
  | { readonly name: "connecting" }
  | { readonly name: "connected" }
  /** Not connected; the next attempt is at `until`, ms since 1970 by this machine's clock (`Date.now()`). */
  | { readonly name: "waiting"; readonly until: number; readonly why: Reason }
  /** For good. */
  | { readonly name: "closed"; readonly why: Reason };

/** What has changed with a snapshot: a set of whole truth, also after the connection was away. */
export interface Snapshot {
  /** Positions that are new or newer. */
  readonly positions: readonly Position[];
  /** Devices that were in `devices` before and are no longer. */
  readonly left: readonly string[];
}

/** A device that has left the topic. */
export interface Left {
  readonly device_id: string;
  /** Of its newest position, where it is known. */
  readonly timestamp?: string;
}

/** An error message of the server; the connection stays open. */
export interface ServerError {
  /** Such as `too-many-devices`, `too-many-subscriptions`, `forbidden`, `protocol-violation`, `not-implemented`, `rate-limited`. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  /** The topic that it is about, where it is about one. */
  readonly topic?: string;
  /** Of the code `no-token`, which is this client's own: what `getToken` threw. */
  readonly cause?: unknown;
}

/** The events of a subscription. */
export interface SubscriptionEvents {
  /** The set is whole and true as of now. */
  snapshot: Snapshot;
  /** A device has moved. */
  position: Position;
  /** A device has left. */
  left: Left;
  /** The server refused or ended the subscription. Of an area that was moved: the old one goes on. */
  error: ServerError;
  /** Of the subscription; see `Subscription.state`. */
  statechange: State;
}

/** The events of a client. */
export interface ClientEvents {
  statechange: State;
  /** An error of the server that is about no subscription; or `no-token`, if `getToken` has failed. */
  error: ServerError;
  /** The server has said what this client may do, and it is not what it was. */
  access: Access;
  /** The server has told its time, ms since 1970: `now()` and ages go by it from here on. */
  time: number;
}

/** What the iterator of a subscription gives: where a device is now; without `position`, it has left. */
export interface Change {
  readonly device_id: string;
  readonly position: Position | undefined;
}
