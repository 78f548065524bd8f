// What a user sees of the client, with the real server.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ProcessorClient } from "../src/index.ts";
import type { Change, ServerError, State, Subscription } from "../src/index.ts";
import { Proxy } from "./proxy.ts";
import { Server, stamp } from "./server.ts";
import { PATIENCE, next, until } from "./wait.ts";

const moscow = { latitude: 55.75, longitude: 37.62 };
const oslo = { latitude: 59.91, longitude: 10.75 };

describe("a client", () => {
  let server: Server;
  let proxy: Proxy;
  before(async () => {
    server = await Server.start();
    proxy = await Proxy.start(() => server.live);
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  it("has what is in an event, and sees it move, come and go", async () => {
    await server.post({ device_id: "e1", ...oslo, topics: ["event:e"] });
    using client = new ProcessorClient(server.url);
    const subscription = client.subscribe("event:e");
    assert.deepEqual((await next(subscription, "snapshot")).positions.map((p) => p.device_id), ["e1"]);
    assert.equal(subscription.live, true);

    await server.post({ device_id: "e2", ...moscow, speed: 3, attributes: { name: "<b>" }, topics: ["event:e"] });
    await until("the second device", () => subscription.devices.get("e2"));
    const { timestamp, ...rest } = subscription.devices.get("e2")!;
    assert.deepEqual(rest, { device_id: "e2", ...moscow, speed: 3, attributes: { name: "<b>" } });
    assert.ok(client.age(subscription.devices.get("e2")!) < 20_000);

    const left = next(subscription, "left");
    await server.post({ device_id: "e1", ...oslo });
    assert.equal((await left).device_id, "e1");
    assert.deepEqual([...subscription.devices.keys()], ["e2"]);
  });

  it("gives single positions without batches as with them", async () => {
    using client = new ProcessorClient(server.url);
    const subscription = client.subscribe("device:single", { batch: false });
    await next(subscription, "snapshot");
    const position = next(subscription, "position");
    const timestamp = stamp();
    await server.post({ device_id: "single", ...oslo, timestamp });
    assert.deepEqual(await position, { device_id: "single", timestamp, ...oslo });
  });

  it("moves an area in one step", async () => {
    await server.post({ device_id: "a1", latitude: 1, longitude: 1 }, { device_id: "a2", latitude: 1, longitude: 3 });
    using client = new ProcessorClient(server.url);
    const subscription = client.subscribe({ area: [0, 0, 2, 2] });
    await next(subscription, "snapshot");
    assert.deepEqual([...subscription.devices.keys()], ["a1"]);

    const moved = next(subscription, "snapshot");
    subscription.setArea([1.5, 0, 2.5, 2]);
    subscription.setArea([2, 0, 4, 2]);
    assert.equal(subscription.topic, "area:2,0,4,2");
    await moved;
    await until("the last area", () => subscription.devices.has("a2"));
    assert.deepEqual([...subscription.devices.keys()], ["a2"]);

    await server.post({ device_id: "a2", latitude: 1, longitude: 5 });
    await until("it to go", () => subscription.devices.size === 0);
    await server.post({ device_id: "a1", latitude: 1, longitude: 2 });
    await until("it to come", () => subscription.devices.has("a1"));
    assert.throws(() => subscription.setArea([0, 2, 1, 1]), /south not above north: \[0,2,1,1\]/);
    assert.throws(() => client.subscribe("device:1").setArea([0, 0, 1, 1]), /device:1 is not an area/);
  });

  it("is served more or less often, as it is asked for", async () => {
    using client = new ProcessorClient(server.url);
    const subscription = client.subscribe("device:often", { everyMs: 30_000 });
    await next(subscription, "snapshot");
    await server.post({ device_id: "often", ...oslo, speed: 1 });
    const snapshot = next(subscription, "snapshot");
    subscription.setEvery(undefined);
    assert.deepEqual((await snapshot).positions.map(({ speed }) => speed), [1]);
    const position = next(subscription, "position");
    await server.post({ device_id: "often", ...oslo, speed: 2 });
    assert.equal((await position).speed, 2);
  });

  it("says what the server refuses, and goes on with what it has", async () => {
    using client = new ProcessorClient(server.url);
    const wrong = client.subscribe("planet:mars");
    const right = client.subscribe("device:right");
    const error: ServerError = await next(wrong, "error");
    assert.equal(error.code, "not-implemented");
    assert.equal(wrong.refused, error);
    await until("the other", () => right.live);
    assert.equal(wrong.live, false);
  });

  it("keeps an area whose move is refused, and takes it when there are fewer devices", async () => {
    await using small = await Server.start({ LIVE_WS_MAX_AREA_DEVICES: "2" });
    await small.post(...[1, 2, 3].map((n) => ({ device_id: `d${n}`, latitude: n, longitude: 0 })));
    using client = new ProcessorClient(small.url);
    const subscription = client.subscribe({ area: [-1, 0, 1, 2] });
    await next(subscription, "snapshot");
    const refused = next(subscription, "error");
    subscription.setArea([-1, 0, 1, 4]);
    assert.match((await refused).message, /3/);
    assert.equal(subscription.topic, "area:-1,0,1,2");
    await small.post({ device_id: "d1", latitude: 1.5, longitude: 0 });
    await until("news of the old area", () => subscription.devices.get("d1")?.latitude === 1.5);
    await small.post({ device_id: "d3", latitude: 9, longitude: 0 });
    subscription.setArea([-1, 0, 1, 4]);
    await next(subscription, "snapshot");
    assert.equal(subscription.topic, "area:-1,0,1,4");

    // One comes in: the server ends it.
    const ended = next(subscription, "error");
    await small.post({ device_id: "d3", latitude: 3, longitude: 0 });
    assert.equal((await ended).code, "too-many-devices");
    assert.equal(subscription.devices.size, 0);
    assert.equal(subscription.live, false);
    await small.post({ device_id: "d3", latitude: 9, longitude: 0 });
    subscription.setArea([-1, 0, 1, 4]);
    await until("it to be served again", () => subscription.devices.size === 2);
  });

  it("asks again when there is room for another subscription", async () => {
    await using small = await Server.start({ LIVE_WS_MAX_SUBSCRIPTIONS: "1" });
    using client = new ProcessorClient(small.url);
    const first = client.subscribe("device:1");
    const second = client.subscribe("device:2");
    assert.equal((await next(second, "error")).code, "too-many-subscriptions");
    first.close();
    await until("the second", () => second.live);
  });

  it("is read as slowly as one likes: the newest of each device waits, and nothing else", async () => {
    await server.post({ device_id: "i1", ...oslo, topics: ["event:i"] });
    using client = new ProcessorClient(server.url);
    const subscription = client.subscribe("event:i");
    const seen: Change[] = [];
    const iterator = subscription[Symbol.asyncIterator]();
    seen.push((await iterator.next()).value);
    const left = next(subscription, "left");
    for (let n = 0; n < 20; n++) await server.post({ device_id: "i1", ...oslo, speed: n, topics: ["event:i"] });
    await server.post({ device_id: "i2", ...oslo, topics: ["event:i"] });
    await server.post({ device_id: "i2", ...oslo });
    // That it is not there is true before it has come, too.
    await left;
    await until("the last", () => subscription.devices.get("i1")?.speed === 19 && !subscription.devices.has("i2"));
    seen.push((await iterator.next()).value, (await iterator.next()).value);
    assert.deepEqual(seen.map(({ device_id, position }) => [device_id, position?.speed]), [["i1", undefined], ["i1", 19], ["i2", undefined]]);
    const end = iterator.next();
    subscription.close();
    assert.deepEqual(await end, { done: true, value: undefined });
    for await (const _ of subscription) assert.fail("it is closed");
  });

  it("shares one connection, opened at the first subscription and closed after the last", async () => {
    const before = proxy.accepted;
    using client = new ProcessorClient(proxy.url, { linger: 50 });
    const states: State["name"][] = [];
    client.on("statechange", ({ name }) => states.push(name));
    assert.equal(client.state.name, "idle");
    // As React does in its strict mode.
    client.subscribe("device:s1").close();
    const one = client.subscribe("device:s1");
    const two = client.subscribe("device:s1");
    const three = client.subscribe("event:s2");
    await Promise.all([one, two, three].map((subscription) => next(subscription, "snapshot")));
    assert.equal(proxy.accepted - before, 1);
    one.close();
    await server.post({ device_id: "s1", ...oslo });
    await until("the one that is left", () => two.devices.has("s1"));
    assert.equal(one.state.name, "closed");
    const late = client.subscribe("device:s1");
    assert.equal((await next(late, "snapshot")).positions.length, 1);
    for (const subscription of [two, three, late]) subscription.close();
    await until("the connection to be gone", () => proxy.open === 0);
    assert.deepEqual(states, ["connecting", "connected", "idle"]);
  });

  it("ends with its signal, and so does a subscription", async () => {
    const [whole, part] = [new AbortController(), new AbortController()];
    const client = new ProcessorClient(server.url, { signal: whole.signal });
    const one = client.subscribe("device:1", { signal: part.signal });
    const two = client.subscribe("device:2");
    await next(two, "snapshot");
    part.abort();
    assert.equal(one.state.name, "closed");
    assert.equal(two.state.name, "connected");
    whole.abort();
    assert.deepEqual(two.state, { name: "closed", why: { code: 1000, message: "closed here" } });
    assert.throws(() => client.subscribe("device:1"), /this client is closed: closed here/);
    assert.equal(new ProcessorClient(server.url, { signal: whole.signal }).state.name, "closed");
  });

  it("knows the server's time where its own clock is wrong", async (t) => {
    const ahead = 10 * 60_000;
    const now = Date.now;
    t.mock.method(Date, "now", () => now() + ahead);
    using client = new ProcessorClient(server.url);
    const told = next(client, "time");
    const subscription = client.subscribe("device:clock");
    await next(subscription, "snapshot");
    await until("the server's time", () => Math.abs(client.now() - now()) < 5_000);
    assert.ok(Math.abs((await told) - now()) < PATIENCE);
  });

  it("asks again for what was not read as it was too fast", async () => {
    await using strict = await Server.start({ LIVE_WS_MAX_MESSAGES_PER_SECOND: "1" });
    using client = new ProcessorClient(strict.url);
    const errors: string[] = [];
    client.on("error", ({ code }) => errors.push(code));
    // More cadences than the server reads messages at once, so that each takes one.
    const subscriptions: Subscription[] = [];
    for (let n = 0; n < 14; n++) {
      subscriptions.push(client.subscribe(`device:${n}`, { everyMs: 1_000 + n }));
    }
    await until("all", () => subscriptions.every(({ live }) => live));
    assert.ok(errors.includes("rate-limited"), errors.join());
  });

  it("says what is wrong with a URL", () => {
    assert.throws(() => new ProcessorClient("nonsense"), /Invalid URL/);
    assert.throws(() => new ProcessorClient("ftp://x/"), /no WebSocket URL: ftp:/);
    assert.equal(new ProcessorClient("https://example.org/live#x").state.name, "idle");
  });
});
