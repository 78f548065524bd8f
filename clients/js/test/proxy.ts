// Proxy: stands between client and server; cuts, freezes, delays, is slow, and closes with any code.

import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";

/** Finds the ends of the frames that the server sends, after the head of its HTTP response. */
class Frames {
  #head = true;
  #rest = Buffer.alloc(0);
  /** Bytes of the frame under way that are still to come. */
  #left = 0;

  /** Whether `chunk` ends where a frame does, when all before it has been seen. */
  atEnd(chunk: Buffer): boolean {
    let bytes = Buffer.concat([this.#rest, chunk]);
    this.#rest = Buffer.alloc(0);
    if (this.#head) {
      const end = bytes.indexOf("\r\n\r\n");
      if (end < 0) {
        this.#rest = bytes;
        return false;
      }
      this.#head = false;
      bytes = bytes.subarray(end + 4);
    }
    for (;;) {
      const taken = Math.min(this.#left, bytes.length);
      this.#left -= taken;
      bytes = bytes.subarray(taken);
      if (this.#left > 0 || bytes.length === 0) return this.#left === 0;
      const short = (bytes[1] ?? 0) & 0x7f;
      const header = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (bytes.length < header) {
        this.#rest = bytes;
        return false;
      }
      const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
      this.#left = length;
      bytes = bytes.subarray(header);
    }
  }
}

/** One connection through it. */
interface Way {
  readonly client: Socket;
  readonly server: Socket;
  atEnd: boolean;
  /** The close frame that is sent instead of whatever else the server has to say. */
  closing: Buffer | undefined;
}

export class Proxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #ways = new Set<Way>();
  /** Nothing passes, in either direction; connections are taken. */
  frozen = false;
  /** What comes later by so many ms, in each direction. */
  delay = 0;
  /** Bytes that pass per second from the server to each client. */
  rate = Infinity;
  /** Connections are cut as they come. */
  refusing = false;
  /** How many have come. */
  accepted = 0;
  /** Chunks that `delay` holds. */
  waiting = 0;

  private constructor(target: () => number) {
    this.#server = createServer((client) => this.#accept(client, target()));
  }

  /** `target` is the port of the server. */
  static async start(target: () => number): Promise<Proxy> {
    const proxy = new Proxy(target);
    await once(proxy.#server.listen(0, "127.0.0.1"), "listening");
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not listening");
    return `ws://127.0.0.1:${address.port}/`;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#ways.size;
  }

  /** Resets all connections. */
  cut(): void {
    for (const { client } of this.#ways) client.resetAndDestroy();
  }

  /** Sends a message to all clients as if the server did. Between two frames; short ones only. */
  say(message: object): void {
    const text = Buffer.from(JSON.stringify(message));
    for (const { client } of this.#ways) client.write(Buffer.concat([Buffer.from([0x81, text.length]), text]));
  }

  /** Closes all connections as if the server did. */
  close(code: number, reason = ""): void {
    const text = Buffer.from(reason);
    const frame = Buffer.concat([Buffer.from([0x88, 2 + text.length, code >> 8, code & 0xff]), text]);
    for (const way of this.#ways) {
      if (way.atEnd) way.client.end(frame);
      way.closing = frame;
    }
  }

  #accept(client: Socket, port: number): void {
    this.accepted += 1;
    if (this.refusing) return void client.resetAndDestroy();
    const server = connect(port, "127.0.0.1");
    const way: Way = { client, server, atEnd: true, closing: undefined };
    const frames = new Frames();
    this.#ways.add(way);
    const over = () => {
      this.#ways.delete(way);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.on("error", over).on("close", over).setNoDelay(true);
    const toServer = this.#later((chunk) => server.write(chunk));
    const toClient = this.#later((chunk) => {
      if (way.closing && way.atEnd) return;
      way.atEnd = frames.atEnd(chunk);
      client.write(chunk);
      if (way.closing && way.atEnd) client.end(way.closing);
    });
    client.on("data", (chunk) => this.frozen || toServer(chunk));
    server.on("data", (chunk) => {
      if (this.frozen) return;
      if (this.rate < Infinity) {
        server.pause();
        setTimeout(() => server.resume(), (chunk.length / this.rate) * 1000);
      }
      toClient(chunk);
    });
  }

  /** Passes chunks on after `delay`, in the order in which they came: a shorter delay must not let one overtake those before it. */
  #later(pass: (chunk: Buffer) => void): (chunk: Buffer) => void {
    const queue: Buffer[] = [];
    const next = () => {
      this.waiting -= 1;
      pass(queue.shift()!);
    };
    return (chunk) => {
      this.waiting += 1;
      queue.push(chunk);
      if (this.delay > 0 || queue.length > 1) setTimeout(next, this.delay);
      else next();
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }
}
