// Tokens that are renewed before they end, on a connection that goes on.

import assert from "node:assert/strict";
import { beforeEach, describe, it, mock } from "node:test";
import { Socket } from "./socket.ts";
import { HOUR, accept, asked, begin, client, connected, errors, pass, sent, setAhead, settle, stamp, states, subscription, tokens, types, useTokens, welcome } from "./tokens.ts";

describe("a client renews its token", () => {
  useTokens();
  let number: number;
  const numbered = () => `t${number++}`;
  beforeEach(() => void (number = 1));

  it("when four fifths of its time are over, on the same connection", async () => {
    await connected(HOUR, numbered);
    await pass(0.8 * HOUR - 1);
    assert.deepEqual(asked, ["connect"]);
    await pass(1);
    assert.deepEqual([asked, tokens(), Socket.count, client.state.name], [["connect", "renew"], ["t1", "t2"], 1, "connected"]);
    await accept(Date.now() + HOUR);
    assert.deepEqual(states.map(({ name }) => name), ["connecting", "connected"]);
    assert.equal(types().filter((type) => type === "subscribe").length, 1, "what was subscribed to goes on");
    await pass(0.8 * HOUR - 1);
    assert.equal(asked.length, 2);
    await pass(1);
    assert.deepEqual(tokens(), ["t1", "t2", "t3"]);
  });

  it("at least 5 s before it ends, and a short one at least a second after it began", async () => {
    await connected(12_000, numbered);
    await pass(6_999);
    assert.equal(asked.length, 1);
    await pass(1);
    assert.equal(asked.length, 2);
    await accept(Date.now() + 3_000);
    await pass(999);
    assert.equal(asked.length, 2);
    await pass(1);
    assert.equal(asked.length, 3);
  });

  for (const hours of [-5, 5]) {
    it(`by the server's clock, which is ${hours} h ahead`, async () => {
      setAhead(hours * HOUR);
      await connected(HOUR, numbered);
      await pass(0.8 * HOUR - 1);
      assert.equal(asked.length, 1);
      await pass(1);
      assert.equal(asked.length, 2);
      // The machine's clock is set right.
      mock.timers.setTime(Date.now() + hours * HOUR);
      setAhead(0);
      await accept(Date.now() + HOUR);
      await pass(0.8 * HOUR - 1);
      assert.equal(asked.length, 2);
      await pass(1);
      assert.equal(asked.length, 3);
    });
  }

  it("sooner than needed where a timer cannot wait so long", async () => {
    await connected(365 * 24 * HOUR, numbered);
    await pass(2 ** 31 - 2);
    assert.equal(asked.length, 1);
    await pass(1);
    assert.equal(asked.length, 2);
  });

  it("never, where it does not end", async () => {
    await connected(undefined, numbered);
    await pass(2 ** 31);
    assert.deepEqual(asked, ["connect"]);
  });

  it("again, where the server could not check it, and where getToken fails", async () => {
    await connected(HOUR, () => {
      if (number === 3) {
        number++;
        throw new Error("away");
      }
      return numbered();
    });
    await pass(0.8 * HOUR);
    Socket.last.say({ type: "error", id: sent().at(-1)!.id, code: "unavailable", message: "tokens cannot be checked now" });
    assert.deepEqual(errors.map(({ code }) => code), ["unavailable"]);
    await pass(0.16 * HOUR);
    assert.deepEqual([asked.length, errors.map(({ code }) => code)], [3, ["unavailable", "no-token"]]);
    await pass(0.032 * HOUR);
    assert.deepEqual([tokens(), client.state.name], [["t1", "t2", "t4"], "connected"]);
  });

  it("a few times only, where getToken has nothing newer", async () => {
    await connected(HOUR, () => "old");
    const end = Date.now() + HOUR;
    while (Date.now() < end) {
      const before = asked.length;
      await pass(500);
      if (asked.length > before) await accept(end);
    }
    assert.ok(asked.length > 5 && asked.length < 15, `${asked.length}`);
    await pass(HOUR);
    assert.ok(asked.length < 15, "what has ended is not renewed");
  });

  it("does not ask twice at once, and not for a connection that is gone", async () => {
    let give = (_: string) => {};
    await connected(12_000, (why) => (why === "renew" ? new Promise((resolve) => (give = resolve)) : "t"));
    const { last } = Socket;
    for (let second = 0; second < 11; second++) await pass(1_000);
    assert.deepEqual(asked, ["connect", "renew"]);
    last.end(1006);
    give("late");
    await pass(1_000);
    assert.deepEqual(asked, ["connect", "renew", "connect"]);
    Socket.last.open();
    assert.deepEqual([last.sent.some((text) => text.includes("late")), tokens()], [false, ["t"]]);
  });

  it("not with a cookie", async () => {
    await begin(() => undefined);
    Socket.last.open();
    await settle();
    welcome({ may_read: ["*"], expires_at: stamp(Date.now() + 60_000) });
    await pass(60_000);
    assert.deepEqual(asked, ["connect"]);
  });

  it("not when there is no connection any longer", async () => {
    await connected(12_000, numbered);
    subscription.close();
    for (let second = 0; second < 12; second++) await pass(1_000);
    assert.deepEqual([client.state.name, asked], ["idle", ["connect"]]);
  });

  it("at its time, however often the server tells its own before", async () => {
    await connected(HOUR, numbered);
    for (let minute = 0; minute < 47; minute++) {
      await pass(60_000);
      welcome();
    }
    assert.equal(asked.length, 1);
    await pass(60_000);
    assert.equal(asked.length, 2);
    await accept(Date.now() + HOUR);
    for (let minute = 0; minute < 47; minute++) await pass(60_000);
    assert.equal(asked.length, 2);
  });

  it("not where getToken gives none: what is there holds until its end", async () => {
    await connected(12_000, (why) => (why === "renew" ? undefined : "t"));
    await pass(7_000);
    assert.deepEqual([asked, tokens(), client.state.name], [["connect", "renew"], ["t"], "connected"]);
  });
});
