// LiveFleet and its feed where the server wants a token, and does not let everyone see everything. The server is a socket of the test's own.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { ProcessorClient } from "../../clients/js/src/index.ts";
import type { Box } from "../../clients/js/src/index.ts";
import { Socket } from "../../clients/js/test/socket.ts";
import { serveFeed } from "../src/feed/feed.ts";
import { LiveFleet } from "../src/livefleet.ts";
import { PageState } from "../src/state.ts";
import { readShown } from "../src/url.ts";
import { ports } from "./ports.ts";

const CITY: Box = [13, 52, 14, 53];
const STAMP = "2026-01-02T03:04:05.000Z";
const at = (device_id: string, longitude: number, latitude: number) => ({ device_id, timestamp: STAMP, latitude, longitude });
const area = (box: Box) => `area:${box.join(",")}`;

describe("a fleet that not everyone may see", () => {
  const original = globalThis.WebSocket;
  let clients: ProcessorClient[];
  let state: PageState;
  let fleet: LiveFleet;
  /** How many messages of the newest socket were looked at. */
  let read: number;

  beforeEach(() => {
    const page = Object.assign(new EventTarget(), { hidden: false });
    const around = Object.assign(new EventTarget(), { setTimeout: (run: () => void, ms: number) => setTimeout(run, ms) });
    Object.assign(globalThis, { WebSocket: Socket, window: around, document: page });
    clients = [];
    Socket.count = 0;
  });
  afterEach(() => {
    for (const client of clients) client.close();
    for (const name of ["window", "document"]) delete (globalThis as Record<string, unknown>)[name];
    Object.assign(globalThis, { WebSocket: original });
  });

  const settle = (ms = 2) => new Promise((resolve) => setTimeout(resolve, ms));
  interface Sent { type: string; id: string; topic: string; token?: string }
  function sent(type = "subscribe"): Sent[] {
    const all = Socket.last.sent.map((text) => JSON.parse(text) as Sent & { topics?: string[] });
    const fresh = all.slice(read, (read = all.length));
    return fresh.filter((one) => one.type === type).flatMap(({ topics, ...one }) => (topics ?? [one.topic]).map((topic) => ({ ...one, topic })));
  }
  const say = (message: object) => Socket.last.say(message);
  const answer = ({ id, topic }: Sent, snapshot: object[] = []) => say({ type: "subscribed", id, topic, snapshot });
  const forbid = ({ id, topic }: Sent) => say({ type: "error", id, topic, code: "forbidden", message: "the token does not allow this topic" });
  const known = () => [...fleet.devices.keys()].sort();
  /** Longer than changes are kept back. */
  const told = () => settle(150);

  /** The page is opened, and its socket too. */
  async function open(query: string, token?: string, box = CITY): Promise<void> {
    state = new PageState(readShown(query));
    const end = ports();
    serveFeed(end.feed, () => {}, (url, options) => {
      const client = new ProcessorClient(url, { ...options, backoff: { first: 5, most: 5 } });
      clients.push(client);
      return client;
    });
    fleet = new LiveFleet(end.page, "ws://x/", state, { box, zoom: 10 }, token);
    await opened();
  }
  async function opened(): Promise<void> {
    await settle();
    read = 0;
    Socket.last.open();
    await settle();
  }
  /** The token is taken. */
  async function accept(may_read: string[] = ["*"]): Promise<void> {
    say({ type: "authenticated", id: "a", subject: "ann", may_read });
    await settle();
  }

  it("asks the visitor when no token and no cookie is there, and begins with what is given", async () => {
    await open("");
    Socket.last.end(4401, "no token came");
    assert.deepEqual([fleet.status.access, fleet.status.connection, fleet.status.message], ["needed", "closed", "no token came"]);
    await settle(50);
    assert.equal(Socket.count, 1, "nothing is tried without one");
    fleet.giveToken("t1");
    await opened();
    assert.deepEqual([fleet.status.access, fleet.status.connection], ["open", "connecting"]);
    assert.deepEqual(sent("auth").map(({ token }) => token), ["t1"]);
    await accept();
    const [view] = sent();
    answer(view!, [at("a", 13.5, 52.5)]);
    assert.deepEqual([known(), fleet.status.connection, fleet.isComplete], [["a"], "connected", true]);
  });

  it("says why one is not accepted, as often as that happens", async () => {
    await open("", "kept");
    assert.deepEqual(sent("auth").map(({ token }) => token), ["kept"]);
    for (const reason of ["the token has expired", "the token is not accepted"]) {
      Socket.last.end(4401, reason);
      assert.deepEqual([fleet.status.access, fleet.status.message], ["refused", reason]);
      fleet.giveToken("next");
      await opened();
    }
    await accept();
    assert.equal(fleet.status.access, "open");
    assert.equal(Socket.count, 3);
  });

  it("keeps what it shows until a newer token shows what is there now", async () => {
    await open("", "t1");
    await accept();
    answer(sent()[0]!, [at("a", 13.5, 52.5), at("b", 13.6, 52.5)]);
    Socket.last.end(4401, "the token has expired");
    assert.deepEqual([known(), fleet.status.access], [["a", "b"], "refused"]);
    fleet.giveToken("t2");
    await opened();
    await accept();
    await told();
    assert.deepEqual(known(), ["a", "b"]);
    answer(sent()[0]!, [at("b", 13.6, 52.5)]);
    await told();
    assert.deepEqual(known(), ["b"]);
  });

  it("shows what the page shows now, with a newer token", async () => {
    await open("");
    fleet.look([1, 1, 2, 2], 10);
    state.set({ events: ["rally"] });
    Socket.last.end(4401, "no token came");
    state.set({ selected: "7" });
    fleet.giveToken("t");
    await opened();
    await accept();
    assert.deepEqual(sent().map(({ topic }) => topic).sort(), [area([0.75, 0.75, 2.25, 2.25]), "device:7", "event:rally"]);
  });

  it("lets a cookie do, tries again with it when it has ended, and only then asks", async () => {
    await open("");
    assert.deepEqual(sent("auth"), []);
    say({ type: "welcome", server_time: STAMP, subject: "ann", may_read: ["*"] });
    Socket.last.end(4401, "the token has expired");
    assert.deepEqual([fleet.status.access, fleet.status.connection], ["open", "waiting"]);
    await settle(20);
    await opened();
    Socket.last.end(4401, "the token has expired");
    assert.deepEqual([fleet.status.access, Socket.count], ["needed", 2]);
  });

  it("says that access has ended, and shows nothing any longer", async () => {
    await open("", "t");
    await accept();
    answer(sent()[0]!, [at("a", 13.5, 52.5)]);
    Socket.last.end(4403, "revoked");
    assert.deepEqual([fleet.status.access, fleet.status.message, fleet.status.connection], ["ended", "revoked", "closed"]);
    await told();
    assert.deepEqual(known(), []);
  });

  describe("but in some areas", () => {
    it("asks for what of the view is in each of them, with a margin as far as they go", async () => {
      await open("", "t");
      await accept([area([13.5, 52, 20, 60]), area([0, 0, 13.2, 53]), area([30, 30, 31, 31]), "event:*"]);
      const asked = sent();
      assert.deepEqual(asked.map(({ topic }) => topic).sort(), [area([12.75, 51.75, 13.2, 53]), area([13.5, 52, 14.25, 53.25])]);
      for (const one of asked) answer(one, [one.topic.startsWith("area:12") ? at("west", 13, 52) : at("east", 14, 52)]);
      assert.deepEqual([known().length, fleet.isComplete, fleet.status.mayRead?.length], [2, true, 4]);
      // A little is in the margins.
      fleet.look([13.1, 52.1, 14.1, 53.1], 10);
      await settle();
      assert.deepEqual(sent(), []);
      // Out of one of them: what is in it is gone.
      fleet.look([14, 52, 15, 53], 10);
      await settle();
      assert.deepEqual(sent().map(({ topic }) => topic), [area([13.75, 52, 15.25, 53.25])]);
      await told();
      assert.deepEqual(known(), ["east"]);
      fleet.look([40, 52, 41, 53], 10);
      await settle();
      await told();
      assert.deepEqual([sent(), known(), fleet.isComplete], [[], [], true]);
    });

    it("asks for both sides of the antimeridian", async () => {
      await open("", "t", [179, 0, -179, 1]);
      await accept([area([170, -10, -170, 10])]);
      assert.deepEqual(sent().map(({ topic }) => topic).sort(), [area([-180, -0.25, -178.5, 1.25]), area([178.5, -0.25, 180, 1.25])]);
      fleet.look([-179.2, 0, -178, 1], 10);
      await settle();
      const [moved] = sent();
      assert.equal(moved?.topic, area([-179.5, -0.25, -177.7, 1.25]));
    });

    it("leaves out the margin where there are too many, and says so for each", async () => {
      await open("", "t");
      await accept([area([13.5, 52, 20, 60])]);
      const many = ({ id, topic }: Sent) => say({ type: "error", id, topic, code: "too-many-devices", message: "11 devices are inside, at most 10 may be" });
      many(sent()[0]!);
      await settle();
      const [tight] = sent();
      assert.equal(tight!.topic, area([13.5, 52, 14, 53]));
      many(tight!);
      assert.match(fleet.status.tooMany!.message, /11 devices/);
      fleet.look([13.5, 52, 13.6, 52.1], 10);
      await settle();
      answer(sent()[0]!, [at("a", 13.55, 52.05)]);
      assert.deepEqual([fleet.status.tooMany, known()], [undefined, ["a"]]);
    });

    it("says nothing of what it asked for before it knew, as with a cookie", async () => {
      await open("");
      const [whole] = sent();
      say({ type: "welcome", server_time: STAMP, subject: "ann", may_read: [area(CITY)] });
      forbid(whole!);
      await settle();
      assert.deepEqual(sent().map(({ topic }) => topic), [area(CITY)]);
      assert.deepEqual([fleet.status.forbidden, fleet.status.message], [{ view: false, device: undefined }, undefined]);
    });

    it("asks for another when others may be seen, and for the view when all may", async () => {
      await open("", "t");
      await accept([area([13, 52, 13.5, 53])]);
      answer(sent()[0]!, [at("a", 13.4, 52.5), at("b", 13.1, 52.5)]);
      await accept([area([13.3, 52, 14, 53])]);
      const [next] = sent();
      assert.equal(next!.topic, area([13.3, 52, 14, 53]));
      answer(next!, [at("a", 13.4, 52.5)]);
      await told();
      assert.deepEqual(known(), ["a"]);
      await accept(["*"]);
      assert.deepEqual(sent().map(({ topic }) => topic), [area([12.75, 51.75, 14.25, 53.25])]);
    });

    it("fits them when everything is to be shown, if nothing is in them", async () => {
      await open("", "t");
      await accept([area([13, 52, 13.5, 53]), area([15, 50, 16, 51])]);
      sent();
      const box = fleet.everywhere();
      await settle();
      const asked = sent();
      assert.deepEqual(asked.map(({ topic }) => topic).sort(), [area([13, 52, 13.5, 53]), area([15, 50, 16, 51])]);
      answer(asked[0]!);
      answer(asked[1]!);
      assert.deepEqual(await box, [13, 50, 16, 53]);
      const devices = fleet.everywhere();
      await settle();
      const again = sent();
      answer(again[0]!, [at("a", 13.1, 52.5), at("b", 13.2, 52.5)]);
      answer(again[1]!, [at("c", 15.5, 50.5)]);
      assert.deepEqual(await devices, [13.1, 50.5, 15.5, 52.5]);
    });
  });

  it("asks for no area where none may be seen, and has events all the same", async () => {
    await open("?event=rally", "t");
    await accept(["event:*"]);
    const asked = sent();
    assert.deepEqual(asked.map(({ topic }) => topic), ["event:rally"]);
    answer(asked[0]!, [at("a", 13.5, 52.5)]);
    assert.deepEqual([known(), fleet.isComplete], [["a"], true]);
    assert.equal(await fleet.everywhere(), undefined);
  });

  it("says which event and which device is not for this visitor", async () => {
    await open("?event=rally&device=7", "t");
    await accept([area(CITY)]);
    const asked = sent();
    for (const one of asked) if (!one.topic.startsWith("area:")) forbid(one);
    assert.equal(fleet.status.refused.get("rally"), "your access does not include this event");
    assert.deepEqual([fleet.status.forbidden, fleet.status.message], [{ view: false, device: "7" }, undefined]);
    state.set({ selected: undefined });
    await settle();
    assert.equal(fleet.status.forbidden.device, undefined);
  });

  it("says that what is in view has been taken away, until it is served again", async () => {
    await open("", "t");
    await accept();
    const [view] = sent();
    answer(view!, [at("a", 13.5, 52.5)]);
    say({ type: "error", code: "forbidden", topic: view!.topic, message: "not allowed", detail: "this subscription has ended" });
    assert.equal(fleet.status.forbidden.view, true);
    await told();
    assert.deepEqual(known(), []);
    fleet.look([40, 52, 41, 53], 10);
    await settle();
    answer(sent()[0]!, []);
    assert.equal(fleet.status.forbidden.view, false);
  });
});
