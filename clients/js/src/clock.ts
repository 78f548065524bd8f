// Clock: the server's time, as far as it can be known from here.

/** How far the server's clock is ahead, from the answers to `hello`. */
export class Clock {
  /** Ms that the server's clock is ahead of this machine's, and by how much that can be wrong. */
  #ahead = 0;
  #error = Infinity;

  /** A request was sent and answered at these times of this machine; the server's clock said `server` in between. */
  learn(sent: number, received: number, server: number): void {
    const error = Math.abs(received - sent) / 2;
    const ahead = server + error - received;
    // An older, more exact answer is kept as long as this one does not contradict it (a clock was set, or has drifted).
    if (this.#error < error && Math.abs(this.#ahead - ahead) <= error + this.#error) return;
    this.#ahead = ahead;
    this.#error = error;
  }

  /** The server's time in ms since 1970; this machine's until the server has told its own. */
  now(): number {
    return Date.now() + this.#ahead;
  }
}
