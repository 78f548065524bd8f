// When to connect again, by how the connection ended (docs/wire.md, "Close codes").

import type { Backoff, Reason } from "./types.ts";

/** Closed by the server, as this client sends too much. It would do so again, so it waits for long. */
const TOO_MANY_MESSAGES = 1008;
/** Closed by the server, as a message of this client is too long: it would be again. */
const TOO_BIG = 1009;
/** Closed by the server, as this client may see nothing any longer. */
const REVOKED = 4403;
/** The server stops, often to be started again: not all clients may come at the same moment. */
const GOING_AWAY = 1001;

/** The longest pause after 1001, in ms. */
const SPREAD = 3_000;
/** Pauses after 1008, in ms. */
const LONG_FROM = 30_000;
const LONG_TO = 60_000;

/** The longest that a server may tell a client to wait, in ms. */
const TOLD_MOST = 600_000;

/** Whether nothing but the pause itself may end it: not even a network that is back. */
export function mustWait({ code }: Reason): boolean {
  return code === TOO_MANY_MESSAGES;
}

/**
 * Ms until the next attempt; undefined: never. `failed` attempts came before, since the connection was last stable.
 * "Full jitter": anything from 0 to the longest, so that clients who were cut off together do not come together. `told` is what the
 * server, which spreads its clients itself, has told this one.
 */
export function pause(
  { code }: Reason, failed: number, { first = 1_000, most = 20_000 }: Backoff = {}, told?: number,
): number | undefined {
  if (code === TOO_BIG || code === REVOKED) return undefined;
  if (code === TOO_MANY_MESSAGES) return LONG_FROM + Math.random() * (LONG_TO - LONG_FROM);
  if (told! >= 0) return Math.min(told!, TOLD_MOST);
  const longest = Math.min(most, first * 2 ** failed);
  return Math.random() * (code === GOING_AWAY ? Math.max(longest, SPREAD) : longest);
}
