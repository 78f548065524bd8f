// Answers, errors and what a user does, in orders that a real server seldom makes: a socket of the test's own.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { ProcessorClient } from "../src/index.ts";
import type { Box, Position, ServerError, Subscription } from "../src/index.ts";
import { Socket } from "./socket.ts";

const A: Box = [0, 0, 1, 1];
const B: Box = [5, 5, 6, 6];
const at = (device_id: string, degrees: number, timestamp = "2026-01-02T03:04:05.000Z") => ({ device_id, timestamp, latitude: degrees, longitude: degrees });

describe("in whatever order things happen, a client", () => {
  const original = globalThis.WebSocket;
  let client: ProcessorClient;
  let socket: Socket;

  beforeEach(() => {
    Object.assign(globalThis, { WebSocket: Socket });
    client = new ProcessorClient("ws://x/", { linger: 0, backoff: { first: 0, most: 0 } });
  });
  afterEach(() => {
    client.close();
    Object.assign(globalThis, { WebSocket: original });
  });

  /** Lets everything run that is due. */
  const settle = () => new Promise((resolve) => setTimeout(resolve, 2));
  /** Subscribes and connects. */
  async function open(...boxes: Box[]): Promise<Subscription[]> {
    const all = boxes.map((area) => client.subscribe({ area }));
    await settle();
    socket = Socket.last;
    socket.open();
    await settle();
    return all;
  }
  /** What has been asked for since this was called last. */
  let read = 0;
  beforeEach(() => void (read = 0));
  function asked() {
    const all = socket.sent.map((text) => JSON.parse(text)).filter(({ type }) => type !== "hello");
    return all.slice(read, (read = all.length));
  }
  const answer = (id: string, box: Box, snapshot: Position[] = [], more: object = {}) =>
    socket.say({ type: "subscribed", topic: `area:${box}`, id, snapshot, ...more });
  const refuse = (box: Box, id?: string) =>
    socket.say({ type: "error", code: "too-many-devices", topic: `area:${box}`, message: "3 devices", ...(id !== undefined && { id }) });
  const ids = (subscription: Subscription | undefined) => [...subscription!.devices.keys()];
  /** The set that someone has who applies all events. */
  function followed(subscription: Subscription): Set<string> {
    const set = new Set<string>();
    subscription.on("snapshot", ({ positions, left }) => {
      for (const id of left) set.delete(id);
      for (const { device_id } of positions) set.add(device_id);
    });
    subscription.on("position", ({ device_id }) => set.add(device_id));
    subscription.on("left", ({ device_id }) => set.delete(device_id));
    return set;
  }

  it("asks for nothing again when it is closed in its own event", async () => {
    const [one] = await open(A);
    one!.on("snapshot", () => one!.close());
    const [{ id }] = asked();
    answer(id, A, [at("a", 0.5)]);
    await settle();
    assert.deepEqual(asked().map(({ type }) => type), ["unsubscribe"]);
  });

  it("stays closed when it is closed as it connects", async () => {
    client.on("statechange", ({ name }) => name === "connecting" && client.close());
    client.subscribe("device:1");
    const before = Socket.last;
    await settle();
    assert.equal(client.state.name, "closed");
    assert.equal(Socket.last, before, "no socket was made");
  });

  it("goes on with a move when the old area ends meanwhile", async () => {
    const [one] = await open(A);
    const errors: ServerError[] = [];
    one!.on("error", (error) => errors.push(error));
    answer(asked()[0].id, A, [at("a", 0.5)]);
    one!.setArea(B);
    await settle();
    const [move] = asked();
    assert.equal(move.replaces, "area:0,0,1,1");
    refuse(A);
    assert.deepEqual(ids(one), []);
    answer(move.id, B, [at("b", 5.5)]);
    assert.deepEqual([ids(one), one!.live, one!.refused, one!.topic], [["b"], true, undefined, "area:5,5,6,6"]);
    one!.setEvery(1000);
    await settle();
    assert.equal(asked().length, 1);
  });

  it("is refused where it wanted to go when the old area ends meanwhile and the new one is refused", async () => {
    const [one] = await open(A);
    answer(asked()[0].id, A, [at("a", 0.5)]);
    one!.setArea(B);
    await settle();
    refuse(A);
    refuse(B, asked()[0].id);
    assert.deepEqual([ids(one), one!.live, one!.refused?.code, one!.topic], [[], false, "too-many-devices", "area:5,5,6,6"]);
  });

  it("takes the answer to its request though an error about the one before came first", async () => {
    const [one] = await open(A);
    answer(asked()[0].id, A);
    one!.close();
    const two = client.subscribe({ area: A });
    await settle();
    const subscribe = asked().find(({ type }) => type === "subscribe");
    refuse(A);
    assert.equal(two.live, false);
    answer(subscribe.id, A, [at("a", 0.5)]);
    assert.deepEqual([ids(two), two.live, two.refused], [["a"], true, undefined]);
  });

  it("can be moved on though the answer to its request was an error without an id", async () => {
    const [one] = await open(A);
    asked();
    refuse(A);
    assert.equal(one!.refused?.code, "too-many-devices");
    one!.setArea(B);
    await settle();
    answer(asked()[0].id, B, [at("b", 5.5)]);
    assert.deepEqual(ids(one), ["b"]);
  });

  it("is refused, and says so, when it ends while it is asked to be served otherwise", async () => {
    const [one] = await open(A);
    answer(asked()[0].id, A, [at("a", 0.5)]);
    one!.setEvery(1000);
    await settle();
    const [again] = asked();
    refuse(A);
    refuse(A, again.id);
    assert.deepEqual([ids(one), one!.live, one!.refused?.code], [[], false, "too-many-devices"]);
  });

  it("does not end one area with another of the same box", async () => {
    const [one] = await open(A);
    answer(asked()[0].id, A, [at("a", 0.5)]);
    one!.setArea(B);
    await settle();
    const [move] = asked();
    const two = client.subscribe({ area: A });
    await settle();
    const [second] = asked();
    refuse(B, move.id);
    answer(second.id, A, [at("a", 0.5)]);
    one!.close();
    await settle();
    assert.deepEqual(asked(), [], "the other one still wants it");
    two.setArea(B);
    await settle();
    assert.equal(asked()[0].replaces, "area:0,0,1,1");
  });

  it("does not take an area away from another that is moved off it", async () => {
    const [one, two] = await open(A, A);
    const [first] = asked();
    for (const _ of first.topics) answer(first.id, A, [at("a", 0.5)]);
    one!.setArea(B);
    await settle();
    const [move] = asked();
    assert.equal(move.replaces, undefined);
    answer(move.id, B, [at("b", 5.5)]);
    assert.deepEqual([ids(one), ids(two)], [["b"], ["a"]]);
    socket.say({ type: "position", topic: "area", ...at("a", 0.6, "2026-01-02T03:04:06.000Z") });
    assert.equal(two!.devices.get("a")?.latitude, 0.6);
  });

  it("gives an area its own devices when another is on its way to the same box", async () => {
    const [one] = await open(A);
    answer(asked()[0].id, A, [at("a", 0.5)]);
    one!.setArea(B);
    await settle();
    const two = client.subscribe({ area: B });
    await settle();
    assert.deepEqual([ids(two), two.live], [[], false]);
    const [move, second] = asked();
    refuse(B, move.id);
    refuse(B, second.id);
    assert.deepEqual([one!.topic, one!.live, two.refused?.code, two.live], ["area:0,0,1,1", true, "too-many-devices", false]);
  });

  it("gives a snapshot, without changes, to whoever moves an area to where it is", async () => {
    const [one] = await open(A);
    answer(asked()[0].id, A, [at("a", 0.5)]);
    const snapshots: number[] = [];
    one!.on("snapshot", ({ positions }) => snapshots.push(positions.length));
    one!.setArea(B);
    one!.setArea(A);
    await settle();
    assert.deepEqual([snapshots, asked()], [[0], []]);
  });

  it("tells who came while the connection was away of all devices", async () => {
    const one = client.subscribe("event:e");
    await settle();
    (socket = Socket.last).open();
    await settle();
    const x = at("x", 1), y = at("y", 1);
    socket.say({ type: "subscribed", topic: "event:e", id: asked()[0].id, snapshot: [x] });
    const set = followed(one);
    set.add("x");
    socket.onclose?.({ code: 1006, reason: "" });
    const two = client.subscribe("event:e");
    const late = followed(two);
    await settle();
    (socket = Socket.last).open();
    await settle();
    read = 0;
    socket.say({ type: "subscribed", topic: "event:e", id: asked()[0].id, snapshot: [x, y] });
    assert.deepEqual([[...set], [...late]], [["x", "y"], ["x", "y"]]);
  });

  it("asks again for a topic that was refused when someone else subscribes to it", async () => {
    const one = client.subscribe("planet:mars");
    await settle();
    (socket = Socket.last).open();
    await settle();
    socket.say({ type: "error", code: "not-implemented", topic: "planet:mars", id: asked()[0].id, message: "" });
    assert.equal(one.refused?.code, "not-implemented");
    client.subscribe("planet:mars");
    await settle();
    assert.equal(asked().length, 1);
  });

  it("does not stand still when this machine's clock is set back", async (t) => {
    const [one] = await open(A);
    answer(asked()[0].id, A, [{ ...at("a", 0.5), timestamp: new Date().toISOString() }]);
    const now = Date.now;
    t.mock.method(Date, "now", () => now() - 600_000);
    socket.say({ type: "position", topic: "area", ...at("a", 0.6, new Date(now() + 5).toISOString()) });
    assert.equal(one!.devices.get("a")?.latitude, 0.6);
    socket.say({ type: "left", topic: "area:0,0,1,1", device_id: "a", timestamp: new Date(now() + 10).toISOString() });
    assert.deepEqual(ids(one), []);
  });

  it("believes a device whose clock was ahead once it is right", async () => {
    const [one] = await open(A);
    const soon = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
    // It came before this client did: the server counts it as of then.
    answer(asked()[0].id, A, [at("a", 0.5, soon(3600))]);
    socket.say({ type: "position", topic: "area", ...at("a", 0.6, soon(-60)) });
    assert.equal(one!.devices.get("a")?.latitude, 0.6);
  });

  it("says nothing of errors about what nobody wants any longer", async () => {
    const [one] = await open(A);
    const errors: ServerError[] = [];
    client.on("error", (error) => errors.push(error));
    const [{ id }] = asked();
    one!.close();
    const two = client.subscribe("device:1");
    await settle();
    refuse(A, id);
    assert.deepEqual(errors, []);
    two.close();
  });
});
