// Feed: the page's end of the connection, in its worker: takes the commands of the page, and reports to it.

import { ProcessorClient } from "../../../clients/js/src/index.ts";
import type { ClientOptions, State } from "../../../clients/js/src/index.ts";
import type { Status } from "../fleet.ts";
import { everywhere } from "./everywhere.ts";
import type { Command, Look, Port, Report, Wanted } from "./messages.ts";
import { Teller } from "./teller.ts";
import type { Source } from "./teller.ts";
import { Watch } from "./watch.ts";

/** Closed as a token is needed, not accepted, or has ended; closed as access was taken away. */
const NO_TOKEN = 4401, REVOKED = 4403;

type Connect = (url: string, options: ClientOptions) => ProcessorClient;

/** Waits for the first command at a port. `wake` tells the client that the page or its network is back. `connect` makes a client. */
export function serveFeed(
  port: Port<Report, Command>, wake: () => void, connect: Connect = (url, options) => new ProcessorClient(url, options),
): void {
  let feed: Feed | undefined;
  port.onmessage = ({ data: command }) => {
    if (command.type === "open") feed = new Feed(port, command, wake, connect);
    else feed?.take(command);
  };
}

class Feed {
  readonly #port: Port<Report, Command>;
  readonly #wake: () => void;
  readonly #connect: (options: ClientOptions) => ProcessorClient;
  readonly #teller: Teller;
  #client!: ProcessorClient;
  #watch!: Watch;
  #look: Look;
  #wanted: Wanted;
  #isHidden = false;
  /** What the page has given. Where there is none, a cookie may do. */
  #token: string | undefined;
  /** The server has said what this page may read: it has let it in. */
  #isIn = false;
  #access: Status["access"] = "open";
  /** Why it was not let in. */
  #why: string | undefined;
  /** What the page was told belongs to a client before this one, as long as this one has no answer. */
  #isOld = false;
  /** What the page was told of it last. */
  #isComplete = false;

  constructor(port: Port<Report, Command>, { url, look, wanted, token }: Extract<Command, { type: "open" }>, wake: () => void, connect: Connect) {
    this.#port = port;
    this.#wake = wake;
    this.#connect = (options) => connect(url, options);
    [this.#look, this.#wanted, this.#token] = [look, wanted, token];
    const source: Source = {
      newest: (id, now) => (this.#access === "ended" ? undefined : this.#watch.newest(id, now)),
      eventsOf: (id) => this.#watch.eventsOf(id),
    };
    this.#teller = new Teller(source, () => this.#client.now(), (packet) =>
      port.postMessage({ type: "packet", packet, clock: this.#clock() }, [packet.numbers.buffer]));
    this.#begin();
  }

  take(command: Command): void {
    switch (command.type) {
      case "look": return this.#watch.look((this.#look = command.look));
      case "want": return this.#watch.want((this.#wanted = command.wanted));
      case "hide": return this.#watch.hide((this.#isHidden = command.isHidden));
      case "wake": return this.#wake();
      case "taken": return this.#taken();
      case "token": return this.#beginAnew(command.token);
      case "everywhere":
        void everywhere(this.#client, this.#watch.areas).then((box) => this.#port.postMessage({ type: "everywhere", box }, []));
    }
  }

  /** Connects. */
  #begin(): void {
    this.#isIn = false;
    [this.#access, this.#why] = ["open", undefined];
    // Nobody has a newer one: the page asks its visitor when this one is refused.
    const client = (this.#client = this.#connect({ getToken: (why) => (why === "renew" ? undefined : this.#token) }));
    client.on("access", () => (this.#isIn = true));
    // A clock may have been set since the page was told of the time, and no news may come for long.
    client.on("time", () => this.#tellStatus());
    client.on("statechange", (state) => this.#noteEnd(state));
    this.#watch = new Watch(client, this.#look, this.#wanted, {
      touched: (id) => this.#teller.touch(id),
      // Whoever has opened the page waits for this.
      snapshot: () => {
        if (this.#isOld && this.#watch.isAnswered) this.#forgetOld();
        this.#teller.tell();
        this.#tellStatus();
      },
      status: () => this.#tellStatus(),
    });
    this.#watch.begin();
    this.#watch.hide(this.#isHidden);
  }

  #beginAnew(token: string): void {
    this.#client.close();
    this.#token = token;
    this.#isOld = true;
    this.#begin();
  }

  /** What the page was told of is there only if this client knows it. */
  #forgetOld(): void {
    this.#isOld = false;
    this.#teller.touchAll();
  }

  /** A token is needed, or nothing more comes. */
  #noteEnd(state: State): void {
    if (!("why" in state) || this.#access !== "open") return;
    const { code, message } = state.why;
    if (code === REVOKED) {
      [this.#access, this.#why] = ["ended", message];
      this.#teller.touchAll();
    } else if (code === NO_TOKEN && (state.name === "closed" || this.#token !== undefined || !this.#isIn)) {
      // The client would try once more with what was refused; only of a cookie there may be another by now.
      [this.#access, this.#why] = [this.#token === undefined ? "needed" : "refused", message];
      this.#client.close();
    }
  }

  #taken(): void {
    this.#teller.taken();
    if (!this.#isComplete && this.#isCompleteNow()) this.#tellStatus();
  }

  #isCompleteNow(): boolean {
    return this.#watch.isAnswered && this.#teller.isDone;
  }

  #tellStatus(): void {
    this.#isComplete = this.#isCompleteNow();
    const status = this.#access === "open" ? this.#watch.status : { ...this.#watch.status, access: this.#access, message: this.#why };
    this.#port.postMessage({ type: "status", status, clock: this.#clock(), isComplete: this.#isComplete }, []);
  }

  #clock() {
    return { ahead: this.#client.now() - Date.now(), origin: performance.timeOrigin };
  }
}
