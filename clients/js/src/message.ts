// Message: what the server sends (docs/wire.md), as far as this client reads it.

import type { Position, ServerError } from "./types.ts";

/** Any message; which fields are there depends on `type`. */
export interface Message {
  readonly type?: string;
  readonly topic?: string;
  readonly id?: string;
  readonly snapshot?: readonly Position[];
  readonly positions?: readonly Position[];
  readonly replaces?: string;
  readonly left?: readonly string[];
  readonly device_id?: string;
  readonly timestamp?: string;
  readonly server_time?: string;
  readonly limits?: { readonly message_bytes?: number };
  readonly reconnect_after_ms?: number;
  readonly subject?: string;
  readonly expires_at?: string;
  readonly may_read?: readonly string[];
  readonly code?: string;
  readonly message?: string;
  readonly detail?: string;
}

/** The position that a `position` message is. */
export function positionOf({ type: _, topic: __, ...position }: Message): Position {
  return position as unknown as Position;
}

/** The error that an `error` message is. */
export function errorOf({ type: _, id: __, ...error }: Message): ServerError {
  return error as unknown as ServerError;
}
