// Tokens: when the client asks for one, what it does with it, and what it does without.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { ProcessorClient } from "../src/index.ts";
import type { ClientOptions, ServerError } from "../src/index.ts";
import { Socket } from "./socket.ts";
import { HOUR, NOW, accept, access, asked, begin, client, connected, errors, pass, sent, settle, stamp, states, subscription, tokens, types, useTokens, welcome } from "./tokens.ts";

describe("a client that gives a token", () => {
  useTokens();

  describe("on a new connection", () => {
    it("sends it first, and waits with everything else until the server has taken it", async () => {
      await begin(async () => "t1");
      assert.deepEqual(asked, ["connect"]);
      Socket.last.open();
      await settle();
      assert.deepEqual(sent(), [{ type: "auth", token: "t1", id: sent()[0]!.id }]);
      client.subscribe("device:1");
      await settle();
      assert.deepEqual([types(), client.state.name], [["auth"], "connecting"]);
      await accept();
      assert.deepEqual([types(), client.state.name], [["auth", "hello", "subscribe"], "connected"]);
      assert.deepEqual(access, { subject: "ann", expires_at: undefined, may_read: ["*"] });
    });

    it("waits for a slow one before it connects", async () => {
      let give = (_: string) => {};
      await begin(() => new Promise((resolve) => (give = resolve)));
      await pass(9_000);
      assert.deepEqual([Socket.count, client.state.name], [0, "connecting"]);
      give("slow");
      await settle();
      Socket.last.open();
      assert.deepEqual(tokens(), ["slow"]);
    });

    it("goes on without where the server knows nothing of tokens, and says nothing of that", async () => {
      await begin(() => "t");
      Socket.last.open();
      Socket.last.say({ type: "error", id: "a", code: "protocol-violation", message: "unknown type" });
      await settle();
      assert.deepEqual([types(), client.state.name, errors], [["auth", "hello", "subscribe"], "connected", []]);
      await accept(undefined);
    });

    it("goes on where the server lets everyone in, and never asks again", async () => {
      await begin(() => "t");
      Socket.last.open();
      Socket.last.say({ type: "authenticated", id: "a" });
      welcome();
      await pass(1_000);
      assert.deepEqual([types(), access], [["auth", "hello", "subscribe"], undefined]);
      await pass(2 ** 31);
      assert.deepEqual(asked, ["connect"]);
    });

    for (const none of [undefined, ""]) {
      it(`sends none where there is none (${JSON.stringify(none)})`, async () => {
        await begin(() => none);
        Socket.last.open();
        await settle();
        assert.deepEqual(types(), ["hello", "subscribe"]);
        welcome({ subject: "bob", may_read: ["event:*"] });
        assert.deepEqual(access?.may_read, ["event:*"]);
      });
    }

    it("gives up where the server does not say whether it takes it", async () => {
      await begin(() => "t");
      Socket.last.open();
      await pass(10_000);
      assert.deepEqual(client.state.name === "waiting" && client.state.why, { code: 1006, message: "the server does not answer" });
    });
  });

  describe("that cannot be had", () => {
    const secret = "eyJ-secret";
    const failing: [string, ClientOptions["getToken"]][] = [
      ["throws", () => { throw new Error(secret); }],
      ["rejects", () => Promise.reject(new Error(secret))],
    ];
    for (const [what, getToken] of failing) {
      it(`as getToken ${what}: says so, and tries again later`, async () => {
        await begin(getToken, { backoff: { first: 1_000, most: 1_000 } });
        assert.equal(errors.length, 1);
        const [{ code, message, cause }] = errors as [ServerError];
        assert.deepEqual([code, message, (cause as Error).message], ["no-token", "getToken failed", secret]);
        assert.deepEqual(client.state.name === "waiting" && client.state.why, { code: "no-token", message: "getToken failed" });
        assert.ok(!inspect(states, { depth: 9 }).includes(secret));
        await pass(1_000);
        assert.deepEqual([asked, Socket.count], [["connect", "connect"], 0]);
      });
    }

    it("as getToken never answers: gives up after connectTimeout; an answer that comes later is nobody's", async () => {
      let give = (_: string) => {};
      await begin(() => new Promise((resolve) => (give = resolve)), { connectTimeout: 500, backoff: { first: 60_000, most: 60_000 } });
      await pass(499);
      assert.equal(client.state.name, "connecting");
      await pass(1);
      assert.deepEqual([client.state.name, errors.map(({ code }) => code)], ["waiting", ["no-token"]]);
      give("late");
      await settle();
      assert.equal(Socket.count, 0);
    });

    it("before the client is closed: leaves nothing behind", async () => {
      let give = (_: string) => {};
      await begin(() => new Promise((resolve) => (give = resolve)));
      client.close();
      give("late");
      await pass(HOUR);
      assert.deepEqual([Socket.count, errors, client.state.name], [0, [], "closed"]);
    });

    it("before the last subscription has gone: is not waited for", async () => {
      let give = (_: string) => {};
      await begin(() => new Promise((resolve) => (give = resolve)));
      subscription.close();
      await settle();
      await pass(1_000);
      assert.equal(client.state.name, "idle");
      give("late");
      await settle();
      assert.equal(Socket.count, 0);
    });
  });

  describe("that the server refuses", () => {
    const refuse = (reason = "the token is not accepted") => Socket.last.end(4401, reason);

    it("asks for another once, then is closed for good, with the server's reason", async () => {
      await begin((why) => why);
      Socket.last.open();
      refuse();
      assert.equal(client.state.name, "waiting");
      await pass(1_000);
      assert.deepEqual(asked, ["connect", "refused"]);
      Socket.last.open();
      assert.deepEqual(tokens(), ["refused"]);
      refuse("the token has expired");
      assert.deepEqual(client.state, { name: "closed", why: { code: 4401, message: "the token has expired" } });
      assert.equal(subscription.state.name, "closed");
      await pass(HOUR);
      assert.deepEqual([asked.length, Socket.count], [2, 2]);
    });

    it("goes on with another, and may be refused again later", async () => {
      await connected();
      for (let round = 0; round < 3; round++) {
        refuse("the token has expired");
        await pass(1_000);
        assert.equal(asked.at(-1), "refused");
        Socket.last.open();
        await accept();
        await pass(5_000);
        assert.equal(client.state.name, "connected");
      }
    });

    it("asks for another as long as the server has not taken one", async () => {
      await begin(() => "t");
      Socket.last.open();
      refuse();
      await pass(1_000);
      Socket.last.end(1006);
      await pass(2_000);
      assert.deepEqual(asked, ["connect", "refused", "refused"]);
    });

    it("tries once more without getToken, as a cookie may be another now", async () => {
      using bare = new ProcessorClient("ws://x/");
      bare.subscribe("event:e");
      await settle();
      Socket.last.open();
      refuse();
      await pass(1_000);
      Socket.last.open();
      await settle();
      welcome();
      refuse();
      assert.equal(bare.state.name, "waiting", "it was welcome in between");
      await pass(2_000);
      refuse();
      assert.equal(bare.state.name, "closed");
    });

    it("does not hurry where it is taken and refused in turns", async () => {
      await connected();
      for (let round = 0; round < 60; round++) {
        refuse();
        while (client.state.name === "waiting") await pass(100);
        Socket.last.open();
        await accept();
      }
      // Half of 1, 2, 4, 8, 16 and then 20 s each, on average.
      assert.ok(Date.now() - NOW > 300_000, `${Date.now() - NOW} ms`);
    });
  });

  it("is closed for good by 4403, and not by 1013", async () => {
    await connected();
    Socket.last.end(1013, "tokens cannot be checked now");
    assert.equal(client.state.name, "waiting");
    await pass(1_000);
    assert.deepEqual(asked, ["connect", "connect"]);
    Socket.last.open();
    await accept();
    Socket.last.end(4403, "revoked");
    assert.deepEqual(client.state, { name: "closed", why: { code: 4403, message: "revoked" } });
  });

  describe("that does not allow everything", () => {
    const subscribes = () => sent().filter(({ type }) => type === "subscribe");
    const forbid = (more: object) => Socket.last.say({ type: "error", code: "forbidden", topic: "event:e", message: "not allowed", ...more });

    it("says so to the subscription, and asks again when the server allows something else", async () => {
      const refused: ServerError[] = [];
      const all: (readonly string[])[] = [];
      await begin(() => "t");
      client.on("access", ({ may_read }) => all.push(may_read));
      subscription.on("error", (error) => refused.push(error));
      Socket.last.open();
      await accept(undefined, ["event:a"]);
      forbid({ id: subscribes()[0]!.id });
      assert.deepEqual(refused, [{ code: "forbidden", topic: "event:e", message: "not allowed" }]);
      assert.deepEqual([subscription.refused?.code, subscription.live, errors], ["forbidden", false, []]);
      await accept(undefined, ["event:a"]);
      client.subscribe("event:a");
      await settle();
      assert.deepEqual(subscribes().map(({ topic }) => topic), ["event:e", "event:a"]);
      await accept(undefined, ["event:*"]);
      assert.deepEqual(subscribes().map(({ topic }) => topic), ["event:e", "event:a", "event:e"]);
      assert.deepEqual(all, [["event:a"], ["event:*"]]);
    });

    it("takes away what ran", async () => {
      await connected();
      const at = { device_id: "d", timestamp: stamp(NOW), latitude: 1, longitude: 2 };
      Socket.last.say({ type: "subscribed", id: subscribes()[0]!.id, topic: "event:e", snapshot: [at] });
      assert.equal(subscription.devices.size, 1);
      forbid({ detail: "this subscription has ended" });
      assert.deepEqual([subscription.devices.size, subscription.live, subscription.refused?.code], [0, false, "forbidden"]);
      await settle();
      assert.equal(subscribes().length, 1);
    });
  });

  it("shows it to nobody else", async () => {
    const secret = "eyJ.secret.token";
    await connected(HOUR, () => secret);
    await pass(0.8 * HOUR);
    Socket.last.end(4401, "the token has expired");
    const seen = inspect([client, subscription, states, errors, Socket.last.url, access], { depth: 20, showHidden: true });
    assert.ok(!seen.includes(secret), seen);
  });
});
