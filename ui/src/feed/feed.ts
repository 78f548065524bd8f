// Feed: the page's end of the connection, in its worker: takes the commands of the page, and reports to it.

import { ProcessorClient } from "../../../clients/js/src/index.ts";
import { everywhere } from "./everywhere.ts";
import type { Command, Look, Port, Report, Wanted } from "./messages.ts";
import { Teller } from "./teller.ts";
import { Watch } from "./watch.ts";

/** Waits for the first command at a port. `wake` tells the client that the page or its network is back. `connect` makes the client. */
export function serveFeed(port: Port<Report, Command>, wake: () => void, connect = (url: string) => new ProcessorClient(url)): void {
  let feed: Feed | undefined;
  port.onmessage = ({ data: command }) => {
    if (command.type === "open") feed = new Feed(port, connect(command.url), command.look, command.wanted, wake);
    else feed?.take(command);
  };
}

class Feed {
  readonly #port: Port<Report, Command>;
  readonly #client: ProcessorClient;
  readonly #wake: () => void;
  readonly #teller: Teller;
  readonly #watch: Watch;
  /** What the page was told of it last. */
  #isComplete = false;

  constructor(port: Port<Report, Command>, client: ProcessorClient, look: Look, wanted: Wanted, wake: () => void) {
    this.#port = port;
    this.#client = client;
    this.#wake = wake;
    this.#watch = new Watch(client, look, wanted, {
      touched: (id) => this.#teller.touch(id),
      // Whoever has opened the page waits for this.
      snapshot: () => {
        this.#teller.tell();
        this.#tellStatus();
      },
      status: () => this.#tellStatus(),
    });
    this.#teller = new Teller(this.#watch, () => client.now(), (packet) =>
      port.postMessage({ type: "packet", packet, clock: this.#clock() }, [packet.numbers.buffer]));
    this.#watch.begin();
  }

  take(command: Command): void {
    switch (command.type) {
      case "look": return this.#watch.look(command.look);
      case "want": return this.#watch.want(command.wanted);
      case "hide": return this.#watch.hide(command.isHidden);
      case "wake": return this.#wake();
      case "taken": return this.#taken();
      case "everywhere": void everywhere(this.#client).then((box) => this.#port.postMessage({ type: "everywhere", box }, []));
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
    this.#port.postMessage({ type: "status", status: this.#watch.status, clock: this.#clock(), isComplete: this.#isComplete }, []);
  }

  #clock() {
    return { ahead: this.#client.now() - Date.now(), origin: performance.timeOrigin };
  }
}
