// Tokens: what the application shows the server to be let in; asked for when it is needed, and again before it ends.

import type { ClientOptions, TokenReason } from "./types.ts";

/** A token is renewed when this part of the time that it has left is over, */
const PART = 0.8;
/** and at least so many ms before it ends, */
const BEFORE_END = 5_000;
/** but not more often than this, in ms. */
const SELDOM = 1_000;
/** The longest that a timer can wait, in ms: a token that lives longer is renewed then. */
const LONGEST = 2 ** 31 - 1;

/** Gets tokens from the application, and hands them on; none is kept. */
export interface Tokens {
  /**
   * Asks the application. Calls `then` with what it gives (at once, with nothing, if it cannot be asked); not when `stop` was called
   * meanwhile.
   */
  ask(why: TokenReason, then: (token?: string) => void): void;
  /** The server has taken one, which ends at this time. */
  taken(end: string | undefined): void;
  /** The server's time is known. */
  time(): void;
  /** The connection is gone. */
  stop(): void;
}

/**
 * `now` is the server's time; `renewed` is called with a token that is to take the place of the one that ends soon; `failed` when the
 * application has given none in time, or has thrown something.
 */
export function tokens(
  { getToken, connectTimeout = 10_000 }: ClientOptions,
  now: () => number, renewed: (token?: string) => void, failed: (cause: unknown) => void,
): Tokens {
  let timer: ReturnType<typeof setTimeout> | undefined, timeout: typeof timer;
  /** Who waits for the application. */
  let asked: object | undefined;
  /** When the one that the server has ends, by the server's clock; NaN: never, or there is none. */
  let end: number;
  /** The timer is set by the time that the server has told since it has taken that one. */
  let isTimed: boolean;

  const wait = () => {
    const left = end - now();
    isTimed = true;
    if (left > 0) timer = setTimeout(due, Math.max(SELDOM, Math.min(left * PART, left - BEFORE_END, LONGEST)));
  };
  const due = () => {
    // Nothing may come of it, so there is another time.
    wait();
    if (!asked) ask("renew", renewed);
  };
  const taken = (at: string | undefined) => {
    clearTimeout(timer);
    end = Date.parse(at!);
    isTimed = false;
  };
  const ask: Tokens["ask"] = (why, then) => {
    if (!getToken) return then();
    const mine = (asked = {});
    const answer = <T>(tell: (value: T) => void) => (value: T) => {
      if (asked !== mine) return;
      asked = undefined;
      clearTimeout(timeout);
      tell(value);
    };
    const fail = answer(failed);
    timeout = setTimeout(fail, connectTimeout, Error("timed out"));
    Promise.resolve(why).then(getToken).then(answer(then), fail);
  };
  return {
    ask,
    taken,
    time: () => isTimed || wait(),
    stop() {
      clearTimeout(timeout);
      asked = undefined;
      taken("");
    },
  };
}
