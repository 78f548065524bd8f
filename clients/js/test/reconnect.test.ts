// Connections that are cut, closed, frozen and slow: real sockets through a proxy.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ProcessorClient } from "../src/index.ts";
import type { Box, ClientOptions, Position, State, Subscription } from "../src/index.ts";
import { Proxy } from "./proxy.ts";
import { Server } from "./server.ts";
import { Truth, lines } from "./truth.ts";
import { next, until } from "./wait.ts";

const quick: ClientOptions = { backoff: { first: 5, most: 20 }, probeAfter: 200, probeTimeout: 300 };

/** The next time it waits. */
async function waiting(client: ProcessorClient): Promise<Extract<State, { name: "waiting" }>> {
  for (;;) {
    const state = await next(client, "statechange");
    if (state.name === "waiting") return state;
  }
}

describe("a connection that ends", () => {
  let server: Server;
  before(async () => void (server = await Server.start()));
  after(async () => server[Symbol.asyncDispose]());

  /** A client that is connected through a proxy of its own. */
  async function connected(options: ClientOptions = quick) {
    const proxy = await Proxy.start(() => server.live);
    const client = new ProcessorClient(proxy.url, options);
    const subscription = client.subscribe("event:e");
    await next(subscription, "snapshot");
    return {
      proxy, client, subscription,
      async [Symbol.asyncDispose]() {
        client.close();
        await proxy[Symbol.asyncDispose]();
      },
    };
  }

  for (const code of [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 4000, 4401, 4999]) {
    it(`by close code ${code} is made again`, async () => {
      await using it = await connected();
      const seen = waiting(it.client);
      const again = next(it.subscription, "statechange");
      it.proxy.close(code, "for a reason");
      assert.deepEqual((await seen).why, { code, message: "for a reason" });
      assert.equal((await again).name, "waiting");
      assert.equal(it.subscription.live, false);
      await until("it to be live again", () => it.subscription.live);
    });
  }

  it("by a server that said when to come back is made again then", async () => {
    await using it = await connected({ ...quick, backoff: { first: 60_000, most: 60_000 } });
    const seen = waiting(it.client);
    const before = Date.now();
    it.proxy.say({ type: "draining", reconnect_after_ms: 400 });
    it.proxy.close(1001, "server shutting down");
    const pause = (await seen).until - before;
    assert.ok(pause >= 400 && pause < 5_000, `${pause}`);
    await until("it to be live again", () => it.subscription.live);
  });

  it("by 1009 is not made again", async () => {
    await using it = await connected();
    it.proxy.close(1009, "message too big");
    await until("it to be closed", () => it.client.state.name === "closed");
    assert.deepEqual(it.subscription.state, { name: "closed", why: { code: 1009, message: "message too big" } });
  });

  it("by 1008 is made again after a long pause, which no network that is back shortens", async (t) => {
    const page = new EventTarget();
    Object.assign(globalThis, { addEventListener: page.addEventListener.bind(page) });
    t.after(() => delete (globalThis as { addEventListener?: unknown }).addEventListener);
    await using it = await connected({ backoff: { first: 60_000 } });
    const seen = waiting(it.client);
    it.proxy.close(1008, "too many messages");
    const { until: time, why } = await seen;
    assert.deepEqual(why, { code: 1008, message: "too many messages" });
    const pause = time - Date.now();
    assert.ok(pause > 25_000 && pause <= 60_000, `${pause}`);
    page.dispatchEvent(new Event("online"));
    assert.equal(it.client.state.name, "waiting");
  });

  it("is made again at once when the network is back", async (t) => {
    const page = new EventTarget();
    Object.assign(globalThis, { addEventListener: page.addEventListener.bind(page) });
    t.after(() => delete (globalThis as { addEventListener?: unknown }).addEventListener);
    await using it = await connected({ backoff: { first: 600_000, most: 600_000 } });
    it.proxy.cut();
    await until("it to wait", () => it.client.state.name === "waiting");
    page.dispatchEvent(new Event("online"));
    await until("it to be live again", () => it.subscription.live);
  });

  it("without a close is made again", async () => {
    await using it = await connected();
    const seen = waiting(it.client);
    it.proxy.cut();
    assert.equal((await seen).why.code, 1006);
    await until("it to be live again", () => it.subscription.live);
  });

  it("in silence is found out and made again; what the old one says later reaches nobody", async () => {
    await using it = await connected();
    const seen = waiting(it.client);
    it.proxy.frozen = true;
    assert.deepEqual((await seen).why, { code: 1006, message: "the server does not answer" });
    it.proxy.frozen = false;
    await until("it to be live again", () => it.subscription.live);
  });

  it("is not given up while it is slow", async () => {
    await using it = await connected({ ...quick, probeAfter: 100, probeTimeout: 1_500 });
    it.proxy.delay = 200;
    const states: State[] = [];
    it.client.on("statechange", (state) => states.push(state));
    // Longer than it would take to give up.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    assert.deepEqual(states, []);
  });

  it("is served in order, also when its delay becomes shorter", async () => {
    await using it = await connected({});
    const seen: number[] = [];
    it.subscription.on("position", ({ latitude }) => seen.push(latitude));
    const report = (latitude: number) => server.post({ device_id: "1", latitude, longitude: 1, topics: ["event:e"] });
    it.proxy.delay = 500;
    const first = report(1);
    await until("the first to be on its way", () => it.proxy.waiting > 0);
    it.proxy.delay = 0;
    await first;
    await report(2);
    await until("both", () => seen.length === 2);
    assert.deepEqual(seen, [1, 2]);
    // The server is that of the tests that follow, too.
    await server.post({ device_id: "1", latitude: 2, longitude: 1, topics: [] });
  });

  it("before it began is tried again, with longer and longer pauses", async () => {
    await using proxy = await Proxy.start(() => server.live);
    proxy.refusing = true;
    using client = new ProcessorClient(proxy.url, { backoff: { first: 1, most: 8 } });
    const subscription = client.subscribe("device:1");
    await until("ten attempts", () => proxy.accepted >= 10);
    assert.equal(subscription.live, false);
    proxy.refusing = false;
    await until("it to be live", () => subscription.live);
  });

  it("takes those with it who have left meanwhile", async () => {
    await using it = await connected();
    const here = { latitude: 1, longitude: 1, topics: ["event:e"] };
    await server.post({ device_id: "stays", ...here }, { device_id: "leaves", ...here });
    await until("both", () => it.subscription.devices.size === 2);
    it.proxy.refusing = true;
    it.proxy.cut();
    await waiting(it.client);
    assert.equal(it.subscription.devices.size, 2, "they are shown until something better is known");
    await server.post({ device_id: "leaves", ...here, topics: [] });
    it.proxy.refusing = false;
    const { positions, left } = await next(it.subscription, "snapshot");
    assert.deepEqual({ positions, left }, { positions: [], left: ["leaves"] });
  });

  it("is not made again by a client that was closed", async () => {
    await using it = await connected();
    const seen = waiting(it.client);
    it.proxy.cut();
    await seen;
    it.client.close();
    const before = it.proxy.accepted;
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(it.proxy.accepted, before);
  });
});

/** Small whole numbers that look random and are the same each time. */
function dice(seed: number): (sides: number) => number {
  return (sides) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * sides);
  };
}

describe("whatever happens to connections", () => {
  it("after each of 1,000 the devices are the server's", { timeout: 280_000 }, async () => {
    await using server = await Server.start({ LIVE_WS_MAX_MESSAGES_PER_SECOND: "100000" });
    await using proxy = await Proxy.start(() => server.live);
    using client = new ProcessorClient(proxy.url, { backoff: { first: 1, most: 2 }, probeAfter: 50, probeTimeout: 100 });
    const truth = new Truth();
    const roll = dice(Number(process.env["SEED"] ?? 7));
    const place = () => ({ latitude: roll(5), longitude: roll(9) + 175 > 180 ? roll(9) - 185 + 5 : roll(9) + 171 });
    const box = (): Box => {
      const [south, west] = [roll(4), 171 + roll(8)];
      const east = west + 1 + roll(8);
      return [west, south, east > 180 ? east - 360 : east, south + 1 + roll(3)];
    };
    const topics = ["event:a", "event:b", "device:1"];
    let areas: { subscription: Subscription; box: Box }[] = [box(), box(), box()].map((area, n) => ({
      subscription: client.subscribe({ area }, n === 1 ? { everyMs: 100 } : { batch: n === 0 }), box: area,
    }));
    const named = topics.map((topic, n) => ({ topic, subscription: client.subscribe(topic, n === 0 ? { everyMs: 100 } : {}) }));

    const post = async (): Promise<void> => {
      const reports = Array.from({ length: 1 + roll(4) }, () => truth.note({
        device_id: String(roll(12)), ...place(), topics: topics.slice(0, 2).filter(() => roll(2) === 0),
      }));
      // Each device once a post; a position of the same device later in it would be the newer one all the same.
      await server.post(...reports);
    };
    const sets = new Map<Subscription, Map<string, Position>>();
    const subscriptions = () => [...areas, ...named].map(({ subscription }) => subscription);
    /** Follows the events of those that are new: they must give what `devices` has. */
    const follow = () => {
      for (const subscription of subscriptions()) {
        if (sets.has(subscription)) continue;
        const set = new Map<string, Position>();
        sets.set(subscription, set);
        subscription.on("snapshot", ({ positions, left }) => {
          for (const id of left) set.delete(id);
          for (const position of positions) set.set(position.device_id, position);
        });
        subscription.on("position", (position) => set.set(position.device_id, position));
        subscription.on("left", ({ device_id }) => set.delete(device_id));
      }
    };
    follow();
    const isTrue = () =>
      subscriptions().every((subscription) => same(lines(sets.get(subscription)!), lines(subscription.devices))) &&
      client.state.name === "connected" &&
      areas.every(({ subscription, box }) => subscription.live && same(lines(subscription.devices), truth.of(box))) &&
      named.every(({ topic, subscription }) => subscription.live && same(lines(subscription.devices), truth.of(topic)));

    for (let round = 0; round < 1_000; round++) {
      await post();
      for (const area of areas) {
        if (roll(3) > 0) continue;
        area.box = box();
        area.subscription.setArea(area.box);
      }
      if (roll(5) === 0) {
        areas[0]!.subscription.close();
        const area = box();
        areas = [...areas.slice(1), { subscription: client.subscribe({ area }, { everyMs: [0, 100][roll(2)]! }), box: area }];
        follow();
      }
      const how = roll(8);
      if (how === 0) proxy.close([1000, 1001, 1011, 4000][roll(4)]!);
      else if (how === 1) proxy.delay = roll(5);
      else if (how < 6 || round % 50 > 0) proxy.cut();
      else proxy.frozen = true;
      await post();
      if (proxy.frozen) await until("the silence to be noticed", () => client.state.name !== "connected");
      proxy.frozen = false;
      await until(`what the server has, round ${round}`, isTrue).catch((error: Error) => {
        const all = [...areas.map(({ subscription, box }) => ({ subscription, want: truth.of(box) })),
          ...named.map(({ subscription, topic }) => ({ subscription, want: truth.of(topic) }))];
        for (const { subscription, want } of all) {
          console.error(subscription.topic, subscription.live, { have: lines(subscription.devices), want });
        }
        throw error;
      });
    }
    assert.ok(proxy.accepted > 500, `${proxy.accepted} connections`);
  });
});

const same = (one: readonly string[], other: readonly string[]) => one.length === other.length && one.every((line, n) => line === other[n]);
