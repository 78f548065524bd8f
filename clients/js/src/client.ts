// ProcessorClient: one connection for many subscriptions; connects, subscribes and connects again by itself.

import { mustWait, pause } from "./backoff.ts";
import { areaTopic } from "./box.ts";
import type { Channel } from "./channel.ts";
import { Clock } from "./clock.ts";
import { Connection } from "./connection.ts";
import { dispose } from "./dispose.ts";
import { Emitter } from "./emitter.ts";
import { errorOf } from "./message.ts";
import type { Message } from "./message.ts";
import { onWake } from "./page.ts";
import { CLOSED_HERE, Subscription } from "./subscription.ts";
import { tokens } from "./token.ts";
import type { Tokens } from "./token.ts";
import { Topics } from "./topics.ts";
import type { Access, ClientEvents, ClientOptions, Position, Reason, State, SubscribeOptions, Topic } from "./types.ts";

/** A connection that has been open for so long, in ms, was a success. */
const STABLE = 5_000;
/** The close code for a token that is missing, not accepted, or has ended. */
const REFUSED = 4401;
/** What was not read as this client was too fast is asked again after so many ms. */
const SLOW_DOWN = 2_000;

/** Without the text of what `getToken` threw, which may hold anything. */
const NO_TOKEN = { code: "no-token", message: "getToken failed" };

/** A client of a processor. It connects at the first subscription, and goes a moment after the last one has ended. */
export class ProcessorClient extends Emitter<ClientEvents> implements Disposable {
  readonly #url: string;
  readonly #options: ClientOptions;
  readonly #clock = new Clock();
  readonly #topics: Topics;
  readonly #tokens: Tokens;
  /** What it may read, as a text. */
  #mayRead = "";
  /** The server has refused the last token, or that there was none, and has not welcomed this client since. */
  #isRefused = false;
  #state: State = { name: "idle" };
  #connection: Connection | undefined;
  /** Attempts since the connection was last stable. */
  #failed = 0;
  #hellos = 0;
  /** When the server wants this client back, in ms after it has closed the connection. */
  #comeBack: number | undefined;
  /** Nothing but the pause itself may end it. */
  #mustWait = false;
  /** The last `hello`, and when it was sent. */
  #hello = { id: "", sent: 0 };
  /** Until the connection is stable, or the next attempt. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #slowDown: ReturnType<typeof setTimeout> | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;
  #isSyncDue = false;
  #offWake = () => {};

  /**
   * `url` is that of the live port: `ws:`, `wss:`, or `http:` and `https:`, which mean the same; in a page it may be relative.
   * Throws if it is no URL.
   */
  constructor(url: string | URL, options: ClientOptions = {}) {
    super();
    const whole = new URL(url, globalThis.location?.href);
    whole.protocol = whole.protocol.replace("http", "ws");
    whole.hash = "";
    if (!/^wss?:$/.test(whole.protocol)) throw TypeError(`no WebSocket URL: ${whole}`);
    if (!globalThis.WebSocket) throw TypeError("no WebSocket here (Node: from 22 on)");
    this.#url = whole.href;
    this.#options = options;
    this.#topics = new Topics(() => this.now(), (message) => this.#connection?.send(message));
    this.#tokens = tokens(options, () => this.now(), (token) => this.#show(token), (cause) => this.#noToken(cause));
    if (options.signal?.aborted) this.close();
    else options.signal?.addEventListener("abort", this.close);
  }

  /** What it is doing. */
  get state(): State {
    return this.#state;
  }

  /** The server's time in ms since 1970, as well as it is known; this machine's before the first connection. */
  now(): number {
    return this.#clock.now();
  }

  /** How old a position is, in ms, by the server's clock. */
  age(position: Position): number {
    return Math.max(0, this.now() - Date.parse(position.timestamp));
  }

  /**
   * Subscribes to a topic, or to what is inside a box. Several subscriptions to one topic share it, served as the most impatient
   * of them wants. Throws if the box is none, or the client is closed.
   */
  subscribe(topic: Topic, options: SubscribeOptions = {}): Subscription {
    if (this.#state.name === "closed") throw TypeError(`this client is closed: ${this.#state.why.message}`);
    const channel = this.#topics.join(typeof topic === "string" ? topic : areaTopic(topic.area));
    const subscription = new Subscription(this, channel, options);
    channel.subscriptions.add(subscription);
    if (options.signal?.aborted) subscription.close();
    // The snapshot has come already, for others.
    else if (channel.held) queueMicrotask(() => subscription.live && subscription.snapshot(undefined));
    // There may be another reason now than when it was asked for first.
    channel.refused = undefined;
    this.#sync();
    return subscription;
  }

  /** Ends all subscriptions and the connection, for good. May be called more than once, and without the client (it is bound to it). */
  readonly close = (): void => this.#close(CLOSED_HERE);

  /** For `using`. */
  [dispose](): void {
    this.close();
  }

  /** @internal A subscription has ended. */
  leave(subscription: Subscription): void {
    subscription.channel.subscriptions.delete(subscription);
    this.#sync();
  }

  /** @internal An area is to be somewhere else. */
  move(channel: Channel, topic: string): void {
    this.#topics.move(channel, topic);
    this.#sync();
  }

  /** @internal A subscription is to be served otherwise. */
  changed(): void {
    this.#sync();
  }

  #set(state: State): void {
    this.#state = state;
    this.emit("statechange", state);
    for (const channel of this.#topics.channels) channel.emit("statechange", state);
  }

  /** Does what is to be done when all that is being said now has been: several subscriptions are one message then. */
  #sync(): void {
    if (this.#isSyncDue) return;
    this.#isSyncDue = true;
    queueMicrotask(() => {
      this.#isSyncDue = false;
      if (this.#state.name === "closed") return;
      this.#topics.sweep();
      clearTimeout(this.#linger);
      if (this.#topics.channels.size === 0) this.#linger = setTimeout(() => this.#idle(), this.#options.linger ?? 1_000);
      else if (this.#state.name === "idle") this.#connect();
      if (this.#state.name === "connected") this.#topics.ask();
    });
  }

  #connect(): void {
    clearTimeout(this.#timer);
    this.#offWake();
    this.#offWake = onWake(() => this.#wake());
    this.#set({ name: "connecting" });
    // Whoever was told may have closed it.
    if (this.#state.name !== "connecting") return;
    this.#tokens.ask(this.#isRefused ? "refused" : "connect", (token) => this.#open(token));
  }

  #open(token?: string): void {
    try {
      this.#connection = new Connection(
        this.#url,
        this.#options,
        {
          // The answer to a token must come in time, as that to a question whether the server is there.
          opened: () => (token ? this.#connection!.probe() : this.#opened()),
          message: (message) => this.#message(message),
          closed: (why) => this.#lost(why),
        },
        () => (this.#state.name === "connecting" ? this.#show(token) : this.#sayHello()),
      );
    } catch (error) {
      // The page's policy does not allow it.
      this.#lost({ code: 1006, message: String(error) });
    }
  }

  #opened(): void {
    this.#timer = setTimeout(() => (this.#failed = 0), STABLE);
    // Before anything else, as the answer tells the server's time.
    this.#sayHello();
    this.#set({ name: "connected" });
    this.#sync();
  }

  #lost(why: Reason): void {
    const told = this.#comeBack;
    this.#forget();
    if (this.#topics.channels.size === 0) return this.#idle();
    const isRefused = why.code === REFUSED;
    const ms = isRefused && this.#isRefused ? undefined : pause(why, this.#failed++, this.#options.backoff, told);
    if (ms === undefined) return this.#close(why);
    this.#isRefused ||= isRefused;
    this.#timer = setTimeout(() => this.#connect(), ms);
    this.#mustWait = told !== undefined || mustWait(why);
    this.#set({ name: "waiting", until: Date.now() + ms, why });
  }

  /** Whatever was true of the connection is so no longer. */
  #forget(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#slowDown);
    this.#connection?.close();
    this.#connection = this.#comeBack = undefined;
    this.#tokens.stop();
    this.#topics.lost();
  }

  #idle(): void {
    this.#forget();
    this.#offWake();
    this.#failed = 0;
    if (this.#state.name !== "idle") this.#set({ name: "idle" });
  }

  #close(why: Reason): void {
    if (this.#state.name === "closed") return;
    this.#options.signal?.removeEventListener("abort", this.close);
    clearTimeout(this.#linger);
    this.#forget();
    this.#offWake();
    this.#state = { name: "closed", why };
    for (const { subscriptions } of this.#topics.channels) {
      for (const subscription of subscriptions) subscription.end(this.#state);
    }
    this.emit("statechange", this.#state);
  }

  /** The page or the network is back. */
  #wake(): void {
    if (this.#state.name === "connected") this.#connection?.probe();
    else if (this.#state.name === "waiting" && !this.#mustWait) this.#connect();
  }

  #sayHello(): void {
    this.#hello = { id: `h${++this.#hellos}`, sent: Date.now() };
    this.#connection?.send({ type: "hello", id: this.#hello.id });
  }

  #show(token?: string): void {
    if (token) this.#connection?.send({ type: "auth", token, id: "a" });
  }

  #noToken(cause: unknown): void {
    if (this.#state.name === "connecting") this.#lost(NO_TOKEN);
    this.emit("error", { ...NO_TOKEN, cause });
  }

  #message(message: Message): void {
    const { type } = message;
    const isNew = this.#state.name === "connecting";
    if (type === "authenticated") {
      this.#tokens.taken(message.expires_at);
      this.#mayDo(message);
      // How long it lives is known when the server's time is.
      if (!isNew) this.#sayHello();
    }
    if (type === "draining") this.#comeBack = message.reconnect_after_ms;
    // The answer to the token. An older server says that it does not know what it was sent, and goes on.
    else if (isNew) this.#opened();
    else if (type === "welcome") this.#welcome(message);
    else if (!this.#topics.message(message) && type === "error" && message.id !== this.#hello.id) {
      if (message.code === "rate-limited") {
        clearTimeout(this.#slowDown);
        this.#slowDown = setTimeout(() => this.#topics.askAgain(), SLOW_DOWN);
      }
      this.emit("error", errorOf(message));
    }
  }

  #welcome(message: Message): void {
    const { id, server_time, limits } = message;
    const server = Date.parse(server_time!);
    this.#isRefused = false;
    if (server && id === this.#hello.id) {
      this.#clock.learn(this.#hello.sent, Date.now(), server);
      this.#tokens.time();
      this.emit("time", server);
    }
    if (limits?.message_bytes) this.#topics.messageBytes = limits.message_bytes;
    this.#mayDo(message);
  }

  #mayDo({ subject, expires_at, may_read }: Message): void {
    if (!may_read || `${may_read}` === this.#mayRead) return;
    this.#mayRead = `${may_read}`;
    this.#topics.retry("forbidden");
    this.#sync();
    this.emit("access", { subject, expires_at, may_read } as Access);
  }
}
