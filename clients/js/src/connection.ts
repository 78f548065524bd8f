// Connection: one WebSocket, from its first attempt to its end; finds out by itself that it is dead.

import type { Message } from "./message.ts";
import type { ClientOptions, Reason } from "./types.ts";

/** How long the server may be silent, in ms; defaults as in `ClientOptions`. */
export type Patience = Pick<ClientOptions, "connectTimeout" | "probeAfter" | "probeTimeout">;

/** What becomes of a connection. None is called after `closed`. */
export interface ConnectionEvents {
  opened(): void;
  /** A message has come: JSON of the server. */
  message(message: Message): void;
  /** It is over. */
  closed(why: Reason): void;
}

/** It ended without a close frame. */
const cut = (message = "the connection was cut"): Reason => ({ code: 1006, message });

/** A timer that is so many ms late was held up: the machine slept, or the page did. */
const OVERDUE = 2_000;
/** What is given to what waits in the event loop since then. */
const GRACE = 1_000;

/**
 * The WebSocket itself says late that it is dead, minutes after the network went, and after sleep its `OPEN` means nothing.
 * So whoever uses it gives it up when nothing has come for a while and no answer comes to a question; whatever
 * the old socket says later reaches nobody.
 */
export class Connection {
  readonly #socket: WebSocket;
  readonly #patience: Patience;
  readonly #events: ConnectionEvents;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Something has come since the timer was set. */
  #heard = false;
  #over = false;
  readonly #probe: () => void;

  /** `probe` sends something that the server answers. */
  constructor(url: string, patience: Patience, events: ConnectionEvents, probe: () => void) {
    this.#patience = patience;
    this.#events = events;
    this.#probe = probe;
    const socket = (this.#socket = new WebSocket(url));
    this.#expect(patience.connectTimeout ?? 10_000);
    // In Node a connection that never was has no close.
    socket.onerror = () => this.#end(cut("cannot connect"));
    socket.onopen = () => {
      socket.onerror = null;
      this.#watch();
      events.opened();
    };
    socket.onmessage = ({ data }) => {
      this.#heard = true;
      let message: Message | null;
      try {
        message = JSON.parse(data as string) as Message | null;
      } catch {
        return; // Not of this contract; a newer server may send what this client does not know.
      }
      if (message) events.message(message);
    };
    socket.onclose = ({ code, reason }) => this.#end({ code, message: reason || cut().message });
  }

  /** Sends a message, if it is open. */
  send(message: object): void {
    if (this.#isOpen()) this.#socket.send(JSON.stringify(message));
  }

  /** Asks the server whether it is there; the connection ends if nothing comes in time. */
  probe(): void {
    // Closed, and nothing was said of it.
    if (this.#socket.readyState > 1) this.#end(cut());
    if (!this.#isOpen()) return;
    this.#heard = false;
    this.#probe();
    this.#expect(this.#patience.probeTimeout ?? 8_000);
  }

  /** Ends it without telling anyone here. */
  close(): void {
    this.#end(undefined);
  }

  #isOpen(): boolean {
    return !this.#over && this.#socket.readyState === 1;
  }

  /** Asks after a while. */
  #watch(): void {
    this.#wait(this.#patience.probeAfter ?? 25_000, () => this.probe());
  }

  /** Something must come in time. */
  #expect(ms: number, isGrace = false): void {
    this.#wait(ms, (late) => {
      if (this.#heard) this.#watch();
      // It may have come while nobody here was awake to see it.
      else if (late > OVERDUE && !isGrace) this.#expect(GRACE, true);
      else this.#end(cut("the server does not answer"));
    });
  }

  #wait(ms: number, then: (late: number) => void): void {
    clearTimeout(this.#timer);
    const due = Date.now() + ms;
    this.#timer = setTimeout(() => then(Date.now() - due), ms);
  }

  #end(why: Reason | undefined): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // An error that comes later must not count as nobody's.
    socket.onerror = () => {};
    socket.close();
    if (why) this.#events.closed(why);
  }
}
