// A client that gives tokens, on a clock of its own; the server is a socket of the test's own.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock } from "node:test";
import { ProcessorClient } from "../src/index.ts";
import type { Access, ClientOptions, ServerError, State, Subscription, TokenReason } from "../src/index.ts";
import { Socket } from "./socket.ts";

export const NOW = Date.parse("2026-11-27T10:00:00Z");
export const HOUR = 3_600_000;
export const stamp = (ms: number): string => new Date(ms).toISOString();
export const settle = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));

const original = globalThis.WebSocket;
export let client: ProcessorClient;
export let subscription: Subscription;
export let asked: TokenReason[];
export let errors: ServerError[];
export let access: Access | undefined;
export let states: State[];
/** How far the server's clock is ahead. */
let ahead = 0;
export const setAhead = (ms: number): void => void (ahead = ms);

/** Each test has a clock and a client of its own. */
export function useTokens(): void {
  beforeEach(() => {
    mock.timers.enable({ apis: ["setTimeout", "Date"], now: NOW });
    Object.assign(globalThis, { WebSocket: Socket });
    [asked, errors, states, ahead] = [[], [], [], 0];
    access = undefined;
    Socket.count = 0;
  });
  afterEach(() => {
    client.close();
    mock.timers.reset();
    Object.assign(globalThis, { WebSocket: original });
  });
}

/** A client whose tokens come from `getToken`, with one subscription. */
export async function begin(getToken: ClientOptions["getToken"], options: ClientOptions = {}): Promise<void> {
  client = new ProcessorClient("ws://x/", {
    // What it asks by itself in silence is not answered here.
    probeAfter: 2 ** 31 - 1,
    ...options,
    getToken: (why) => {
      asked.push(why);
      return getToken!(why);
    },
  });
  client.on("error", (error) => errors.push(error));
  client.on("access", (now) => (access = now));
  client.on("statechange", (state) => states.push(state));
  subscription = client.subscribe("event:e");
  await settle();
}

export const sent = () => Socket.last.sent.map((text) => JSON.parse(text) as { type: string; id: string; token?: string; topic?: string });
export const types = () => sent().map(({ type }) => type);
export const tokens = () => sent().filter(({ type }) => type === "auth").map(({ token }) => token);

/** The server's answers, where it has been asked. */
export async function accept(expires?: number, may_read = ["*"]): Promise<void> {
  Socket.last.say({
    type: "authenticated", id: sent().findLast(({ type }) => type === "auth")?.id, subject: "ann", may_read,
    ...(expires === undefined ? {} : { expires_at: stamp(expires) }),
  });
  await settle();
  welcome();
  await settle();
}
export function welcome(more: object = {}): void {
  const { id } = sent().findLast(({ type }) => type === "hello")!;
  Socket.last.say({ type: "welcome", id, server_time: stamp(Date.now() + ahead), ...more });
}
/** Time passes; what waits for it is done. */
export async function pass(ms: number): Promise<void> {
  mock.timers.tick(ms);
  await settle();
}

/** Connected, with a token that ends after `ms`. */
export async function connected(ms?: number, getToken: ClientOptions["getToken"] = () => "t"): Promise<void> {
  await begin(getToken);
  Socket.last.open();
  await accept(ms === undefined ? undefined : Date.now() + ahead + ms);
  assert.equal(client.state.name, "connected");
}
