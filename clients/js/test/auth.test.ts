// Tokens with the real server, which wants one from everybody.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ProcessorClient } from "../src/index.ts";
import type { ClientOptions, ServerError, State, TokenReason } from "../src/index.ts";
import { AUTH, jwt } from "./jwt.ts";
import { Proxy } from "./proxy.ts";
import { Server } from "./server.ts";
import { next, until } from "./wait.ts";

const quick = { backoff: { first: 5, most: 20 }, probeAfter: 200, probeTimeout: 1_000 };
const here = { latitude: 1, longitude: 2, topics: ["event:e"] };
const ALL = { topics: ["*"] };

describe("a server that wants tokens", () => {
  let server: Server;
  before(async () => {
    server = await Server.start(AUTH);
    await server.post({ device_id: "d", ...here });
  });
  after(async () => server[Symbol.asyncDispose]());

  /** A client, subscribed to `topic` through a proxy of its own; what it has asked for and what became of it. */
  async function begin(getToken: ClientOptions["getToken"], { topic = "event:e", ...options }: ClientOptions & { topic?: string } = {}) {
    const proxy = await Proxy.start(() => server.live);
    const asked: TokenReason[] = [], states: State[] = [], errors: ServerError[] = [];
    const client = new ProcessorClient(proxy.url, {
      ...quick, ...options,
      ...(getToken && {
        getToken: (why: TokenReason) => {
          asked.push(why);
          return getToken(why);
        },
      }),
    });
    client.on("statechange", (state) => states.push(state));
    client.on("error", (error) => errors.push(error));
    const subscription = client.subscribe(topic);
    subscription.on("error", (error) => errors.push(error));
    return {
      proxy, client, subscription, asked, states, errors,
      async [Symbol.asyncDispose]() {
        client.close();
        await proxy[Symbol.asyncDispose]();
      },
    };
  }
  const closed = (client: ProcessorClient) => until("it to be closed", () => (client.state.name === "closed" ? client.state.why : undefined));

  it("lets in who shows one, and says who that is and what may be read", async () => {
    await using it = await begin(async () => jwt({ sub: "ann", topics: ["event:e", "area:0,0,10,10"] }));
    const { subject, expires_at, may_read } = await next(it.client, "access");
    assert.deepEqual([subject, [...may_read].sort()], ["ann", ["area:0,0,10,10", "event:e"]]);
    const ms = Date.parse(expires_at!) - Date.now();
    assert.ok(ms > 3_500_000 && ms <= 3_601_000, `${ms}`);
    await until("a snapshot", () => it.subscription.devices.has("d"));
    assert.deepEqual([it.asked, it.errors], [["connect"], []]);
  });

  it("closes without one for good, after a second try", async () => {
    await using it = await begin(undefined);
    const why = await closed(it.client);
    assert.equal(why.code, 4401);
    assert.equal(it.proxy.accepted, 2);
    assert.deepEqual(it.subscription.state, it.client.state);
  });

  for (const [what, bad] of [
    ["signed by somebody else", () => jwt(ALL, 60, "another secret of the tests, as long as that")],
    ["that has ended", () => jwt(ALL, -3_600)],
    ["that is none", () => "x"],
  ] as const) {
    it(`closes with one ${what} for good, after asking once more, and says why`, async () => {
      await using it = await begin(bad);
      const why = await closed(it.client);
      assert.deepEqual([why.code, it.asked, it.proxy.accepted], [4401, ["connect", "refused"], 2]);
      assert.ok(why.message.length > 5 && !why.message.includes("eyJ"), why.message);
    });
  }

  it("takes another that is asked for when the first is refused", async () => {
    await using it = await begin((why) => (why === "refused" ? jwt(ALL) : "x"));
    await until("a snapshot", () => it.subscription.devices.has("d"));
    assert.deepEqual([it.asked, it.proxy.accepted], [["connect", "refused"], 2]);
  });

  it("is waited for by those whose getToken is slow or fails", async () => {
    let tries = 0;
    await using it = await begin(async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (tries++ < 2) throw new Error("the backend is away");
      return jwt(ALL);
    });
    await until("a snapshot", () => it.subscription.live);
    assert.deepEqual([it.asked, it.errors.map(({ code }) => code), it.proxy.accepted], [["connect", "connect", "connect"], ["no-token", "no-token"], 1]);
  });

  it("takes newer ones on the same connection, and not one position is missing", async () => {
    let isOver = false;
    await using it = await begin(() => jwt(ALL, 3));
    await until("a snapshot", () => it.subscription.live);
    const seen: number[] = [];
    it.subscription.on("position", ({ device_id, longitude }) => device_id === "runner" && seen.push(longitude));
    let snapshots = 0;
    it.subscription.on("snapshot", () => snapshots++);
    const posting = (async () => {
      let step = 0;
      for (; !isOver; step++) await server.post({ device_id: "runner", ...here, longitude: step / 1_000 });
      return step;
    })();
    await until("the third of them", () => it.asked.length >= 4);
    await new Promise((resolve) => setTimeout(resolve, 500));
    isOver = true;
    const steps = await posting;
    await until("all positions", () => seen.length === steps);
    assert.deepEqual(seen, Array.from({ length: steps }, (_, step) => step / 1_000));
    assert.deepEqual([it.proxy.accepted, snapshots, it.errors, new Set(it.asked.slice(1))], [1, 0, [], new Set(["renew"])]);
  });

  it("ends a connection with its token, and goes on with the next", async () => {
    const token = jwt(ALL, 2);
    await using it = await begin((why) => (why === "refused" ? jwt(ALL) : token));
    const { code } = await until("it to wait", () => it.states.find((state) => state.name === "waiting")?.why);
    assert.equal(code, 4401);
    await until("it to be live again", () => it.subscription.live);
    assert.deepEqual([it.asked.at(-1), it.proxy.accepted, it.client.state.name], ["refused", 2, "connected"]);
  });

  it("forbids what the token does not allow; the rest goes on", async () => {
    await using it = await begin(() => jwt({ topics: ["event:e", "area:0,0,10,10"] }));
    await until("a snapshot", () => it.subscription.live);
    const event = it.client.subscribe("event:other"), wide = it.client.subscribe({ area: [0, 0, 11, 10] });
    const refusals = await Promise.all([next(event, "error"), next(wide, "error")]);
    assert.deepEqual(refusals.map(({ code, topic }) => [code, topic]), [["forbidden", "event:other"], ["forbidden", "area:0,0,11,10"]]);
    wide.setArea([0, 0, 10, 10]);
    await until("the area inside", () => wide.devices.has("d"));
    // One that is there stays where it is.
    wide.setArea([-1, 0, 10, 10]);
    assert.equal((await next(wide, "error")).code, "forbidden");
    assert.deepEqual([wide.topic, wide.live, wide.devices.has("d")], ["area:0,0,10,10", true, true]);
    assert.deepEqual([it.subscription.live, event.live, event.refused?.code], [true, false, "forbidden"]);
  });

  it("ends what a newer token does not allow, and gives it again with one that does", async () => {
    const topics = [["*"], ["event:other"], ["*"]];
    let n = 0;
    await using it = await begin(() => jwt({ topics: topics[Math.min(n++, 2)] }, 3));
    await until("a snapshot", () => it.subscription.live);
    const { code, topic } = await next(it.subscription, "error");
    assert.deepEqual([code, topic, it.subscription.devices.size], ["forbidden", "event:e", 0]);
    await until("it to be back", () => it.subscription.live && it.subscription.devices.has("d"));
    assert.equal(it.proxy.accepted, 1);
  });

  it("takes away a topic, and everything, at once", async () => {
    await server.post({ device_id: "g", ...here, topics: ["event:gone"] });
    await using it = await begin(() => jwt({ sub: "eve", topics: ["event:*", "device:d"] }), { topic: "event:gone" });
    await until("a snapshot", () => it.subscription.devices.has("g"));
    const device = it.client.subscribe("device:d");
    await until("the device", () => device.live);
    await server.revoke({ topic: "event:gone" });
    const { code, topic } = await until("an error", () => it.errors[0]);
    assert.deepEqual([code, topic, it.subscription.live, it.subscription.devices.size, device.live], ["forbidden", "event:gone", false, 0, true]);
    await server.revoke({ subject: "eve" });
    const why = await closed(it.client);
    assert.deepEqual([why.code, it.proxy.accepted, it.asked, device.state.name], [4403, 1, ["connect"], "closed"]);
  });

  it("is understood by the server's clock, however wrong that of this machine is", async (t) => {
    const real = Date.now;
    t.after(() => void (Date.now = real));
    for (const hours of [-6, 6]) {
      Date.now = () => real() + hours * 3_600_000;
      // Both are noted as they happen, however late the test looks.
      let began = 0, renewed = 0;
      await using it = await begin((why) => {
        if (why === "renew") renewed ||= performance.now();
        return jwt(ALL, 3);
      });
      it.client.on("statechange", ({ name }) => name === "connected" && (began ||= performance.now()));
      await until("a snapshot", () => it.subscription.live);
      assert.ok(Math.abs(it.client.now() - real()) < 5_000);
      await until("a renewal", () => it.asked.length >= 2);
      assert.ok(renewed - began > 600, `${renewed - began}`);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      assert.deepEqual([it.proxy.accepted, it.asked.length < 7], [1, true], `${it.asked}`);
      Date.now = real;
    }
  });
});

it("a server that wants no tokens takes one and lets everyone in", async () => {
  await using server = await Server.start();
  await server.post({ device_id: "d", ...here });
  using client = new ProcessorClient(server.url, { getToken: () => jwt(ALL) });
  const errors: ServerError[] = [], access: unknown[] = [];
  client.on("error", (error) => errors.push(error));
  client.on("access", (event) => access.push(event));
  const subscription = client.subscribe("event:e");
  await until("a snapshot", () => subscription.devices.has("d"));
  assert.deepEqual([errors, access], [[], []]);
});
