// LiveFleet and its feed: what is subscribed to for what the page shows. The server is a socket of the test's own, the client is the real one.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { ProcessorClient } from "../../clients/js/src/index.ts";
import type { Box } from "../../clients/js/src/index.ts";
import { Socket } from "../../clients/js/test/socket.ts";
import { grown } from "../src/area.ts";
import { serveFeed } from "../src/feed/feed.ts";
import type { Report } from "../src/feed/messages.ts";
import { FIELDS, NUMBER } from "../src/feed/packet.ts";
import { MOST_IN_PACKET } from "../src/feed/teller.ts";
import { LiveFleet } from "../src/livefleet.ts";
import { PageState } from "../src/state.ts";
import { readShown } from "../src/url.ts";
import { ports } from "./ports.ts";

const CITY: Box = [13, 52, 14, 53];
const STAMP = "2026-01-02T03:04:05.000Z";
const at = (device_id: string, longitude: number, latitude: number, timestamp = STAMP) => ({ device_id, timestamp, latitude, longitude });

describe("the fleet", () => {
  let page: EventTarget & { hidden: boolean };
  let around: EventTarget;
  const original = globalThis.WebSocket;
  let client: ProcessorClient;
  let state: PageState;
  let fleet: LiveFleet;
  let read: number;
  let woken: number;
  let end: ReturnType<typeof ports>;

  beforeEach(() => {
    page = Object.assign(new EventTarget(), { hidden: false });
    around = Object.assign(new EventTarget(), { setTimeout: (run: () => void, ms: number) => setTimeout(run, ms) });
    Object.assign(globalThis, { WebSocket: Socket, window: around, document: page });
    read = woken = 0;
  });
  afterEach(() => {
    client.close();
    for (const name of ["window", "document"]) delete (globalThis as Record<string, unknown>)[name];
    Object.assign(globalThis, { WebSocket: original });
  });

  const settle = (ms = 2) => new Promise((resolve) => setTimeout(resolve, ms));
  /** Longer than changes are kept back. */
  const told = () => settle(150);

  function begin(query: string, zoom = 10, token?: string): void {
    state = new PageState(readShown(query));
    end = ports();
    serveFeed(end.feed, () => woken++, (url, options) => (client = new ProcessorClient(url, options)));
    fleet = new LiveFleet(end.page, "ws://x/", state, { box: CITY, zoom }, token);
  }

  async function open(query = "", zoom = 10): Promise<void> {
    begin(query, zoom);
    await settle();
    Socket.last.open();
    await settle();
  }

  interface Sent { type: string; id: string; topic: string; topics?: string[]; replaces?: string; every_ms?: number }
  /** What has been asked for since this was called last, a topic at a time. */
  function sent(): Sent[] {
    const all = Socket.last.sent.map((text) => JSON.parse(text) as Sent).filter(({ type }) => type !== "hello");
    return all.slice(read, (read = all.length)).flatMap(({ topics, ...one }) => (topics ?? [one.topic]).map((topic) => ({ ...one, topic })));
  }
  const say = (message: object) => Socket.last.say(message);
  function answer({ id, topic }: Sent, snapshot: object[], more: object = {}): void {
    say({ type: "subscribed", id, topic, snapshot, ...more });
  }
  const refuse = ({ id, topic }: Sent) => say({ type: "error", id, topic, code: "too-many-devices", message: "11 devices are inside, at most 10 may be" });
  const known = () => [...fleet.devices.keys()].sort();
  const area = (box: Box) => `area:${box.join(",")}`;

  it("asks for the view with a margin, and anew when it has moved out of it, with what is new only", async () => {
    await open();
    const [first] = sent();
    assert.deepEqual([first!.topic, first!.every_ms], [area(grown(CITY)), 1_000]);
    answer(first!, [at("a", 13.5, 52.5)]);
    assert.deepEqual(known(), ["a"]);
    fleet.look([13.1, 52, 14.1, 53], 10);
    await settle();
    assert.deepEqual(sent(), []);
    fleet.look([14, 52, 15, 53], 10);
    await settle();
    const [second] = sent();
    assert.deepEqual([second!.topic, second!.replaces], [area(grown([14, 52, 15, 53])), first!.topic]);
  });

  it("leaves out the margin, then says that there are too many, and asks again as soon as less is shown", async () => {
    await open();
    const [first] = sent();
    refuse(first!);
    await settle();
    const [tight] = sent();
    assert.equal(tight!.topic, area(CITY));
    assert.equal(fleet.status.tooMany, undefined);
    refuse(tight!);
    assert.match(fleet.status.tooMany!.message, /11 devices/);
    await settle();
    // Zoomed in by less than a whole step.
    const less: Box = [13.2, 52.2, 13.8, 52.8];
    fleet.look(less, 10.7);
    await settle();
    const [again] = sent();
    assert.equal(again!.topic, area(less));
    answer(again!, [at("a", 13.5, 52.5)]);
    assert.equal(fleet.status.tooMany, undefined);
    assert.deepEqual(known(), ["a"]);
  });

  it("shows nothing of an older area while there are too many, and all of it when the view is back there", async () => {
    await open();
    const [first] = sent();
    answer(first!, [at("a", 13.5, 52.5)]);
    fleet.look([0, 40, 30, 60], 5);
    await settle();
    const [wide] = sent();
    assert.equal(wide!.every_ms, 2_000);
    refuse(wide!);
    await settle();
    refuse(sent()[0]!);
    await told();
    assert.deepEqual(known(), []);
    fleet.look(CITY, 10);
    await settle();
    const [back] = sent();
    answer(back!, [], { replaces: back!.replaces, left: [] });
    await told();
    assert.deepEqual([known(), fleet.status.tooMany], [["a"], undefined]);
  });

  it("is told as often as the zoom needs, less while the page is hidden, of events too", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    begin("?event=e");
    const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
    await turn();
    Socket.last.open();
    await turn();
    const [one, two] = sent().sort((a, b) => a.topic.localeCompare(b.topic!));
    for (const request of [one, two]) answer(request!, []);
    fleet.look([13.2, 52.2, 13.8, 52.8], 15);
    await turn();
    assert.deepEqual(sent().map(({ every_ms }) => every_ms), [undefined]);
    page.hidden = true;
    page.dispatchEvent(new Event("visibilitychange"));
    t.mock.timers.tick(15_000);
    await turn();
    assert.ok(sent().some(({ topic, every_ms }) => topic === "event:e" && every_ms === 10_000));
  });

  it("knows the server's time as soon as that is told, also where no news comes", async () => {
    await open();
    answer(sent()[0]!, [at("a", 13.5, 52.5)]);
    const { id } = Socket.last.sent.map((text) => JSON.parse(text) as Sent).find(({ type }) => type === "hello")!;
    say({ type: "welcome", id, server_time: new Date(Date.now() - 3_600_000).toISOString() });
    assert.ok(Math.abs(fleet.now() - Date.now() + 3_600_000) < 60_000, `${fleet.now() - Date.now()} ms`);
  });

  it("has the devices of events, wherever they are, and only those if that is asked for", async () => {
    await open("?event=e");
    const requests = sent();
    answer(requests.find(({ topic }) => topic.startsWith("area"))!, [at("a", 13.5, 52.5), at("both", 13.5, 52.5)]);
    answer(requests.find(({ topic }) => topic === "event:e")!, [at("both", 13.5, 52.5), at("far", 0, 0)]);
    assert.deepEqual(known(), ["a", "both", "far"]);
    assert.deepEqual([...fleet.devices.get("both")!.events], ["e"]);
    state.set({ only: true });
    await told();
    assert.deepEqual(known(), ["both", "far"]);
    assert.deepEqual(sent().map(({ type }) => type), ["unsubscribe"]);
    state.set({ events: [] });
    await told();
    assert.equal(fleet.devices.has("far"), false);
  });

  it("has the selected device, wherever it is, and the newest of what several subscriptions say", async () => {
    await open("?device=d");
    const requests = sent();
    answer(requests.find(({ topic }) => topic.startsWith("area"))!, [at("d", 13.5, 52.5)]);
    answer(requests.find(({ topic }) => topic === "device:d")!, [at("d", 13.6, 52.6, "2026-01-02T03:04:06.000Z")]);
    assert.equal(fleet.devices.get("d")!.fix.position.longitude, 13.6);
    assert.equal(fleet.devices.get("d")!.before!.position.longitude, 13.5);
    state.set({ selected: undefined });
    await told();
    assert.equal(fleet.devices.has("d"), true, "it is still in view");
  });

  it("says what the server refuses of an event, until it does not", async () => {
    await open("?event=e");
    const request = sent().find(({ topic }) => topic === "event:e")!;
    say({ type: "error", id: request.id, topic: request.topic, code: "too-many-subscriptions", message: "as many as it may have" });
    assert.deepEqual([...fleet.status.refused], [["e", "as many as it may have"]]);
    state.set({ events: [] });
    assert.deepEqual([...fleet.status.refused], []);
  });

  it("stays as it is when the server has closed the connection for good", async () => {
    await open("?event=e");
    for (const request of sent()) answer(request, [at("a", 13.5, 52.5)]);
    Socket.last.onclose?.({ code: 1009, reason: "message too big" });
    assert.equal(fleet.status.connection, "closed");
    fleet.look([0, 0, 1, 1], 10);
    state.set({ events: ["f"], selected: "b" });
    page.dispatchEvent(new Event("visibilitychange"));
    assert.deepEqual(known(), ["a"]);
  });

  it("counts a position from the future as of now", async () => {
    await open();
    answer(sent()[0]!, [at("a", 13.5, 52.5, "2199-01-01T00:00:00.000Z")]);
    assert.ok(fleet.devices.get("a")!.fix.at <= Date.now());
  });

  it("hands over what the server says of a device, all of it, and only what is new of it later", async () => {
    await open();
    const whole = { ...at("a", 13.5, 52.5), altitude: -3.5, accuracy: 0, heading: 0, speed: 1.25, attributes: { name: "Ada", tags: [1, { two: null }] } };
    answer(sent()[0]!, [whole, at("bare", 13.6, 52.5)]);
    const json = (id: string) => JSON.parse(JSON.stringify(fleet.devices.get(id)!.fix.position)) as object;
    assert.deepEqual([json("a"), json("bare")], [whole, at("bare", 13.6, 52.5)]);
    const { speed, ...moved } = { ...whole, longitude: 13.51, timestamp: "2026-01-02T03:04:06.007Z" };
    say({ type: "position", topic: "area", ...moved });
    await told();
    assert.deepEqual(json("a"), moved);
    assert.equal(fleet.devices.get("a")!.fix.position.timestamp, moved.timestamp);
    assert.deepEqual(fleet.devices.get("a")!.fix.position.attributes, fleet.devices.get("a")!.before!.position.attributes);
    const last = end.feed.sent.filter((report) => report.type === "packet").at(-1)!;
    assert.deepEqual([last.packet.ids, last.packet.attributes, last.packet.events], [[null], [null], [null]]);
    const { attributes, ...without } = { ...moved, timestamp: "2026-01-02T03:04:07.000Z" };
    say({ type: "position", topic: "area", ...without });
    await told();
    assert.deepEqual(json("a"), without);
    assert.equal(fleet.heard! > performance.now() - 1_000, true, "it came now, however old it was");
  });

  it("hands over many in parts, each when the last was taken, and says when that was all", async () => {
    await open();
    const many = Array.from({ length: 2 * MOST_IN_PACKET + 1 }, (_, i) => at(`d${i}`, 13.5, 52.5)), sizes: number[] = [], complete: boolean[] = [];
    fleet.on("change", ({ changed, gone }) => {
      sizes.push(changed.length, gone.length);
      complete.push(fleet.isComplete);
    });
    answer(sent()[0]!, many);
    assert.deepEqual(sizes, [MOST_IN_PACKET, 0, MOST_IN_PACKET, 0, 1, 0]);
    assert.deepEqual([complete, fleet.isComplete], [[false, false, false], true]);
    assert.equal(fleet.devices.size, many.length);
  });

  it("tells a page that is busy of the newest of each device only, when it is ready", async () => {
    await open();
    answer(sent()[0]!, [at("a", 13.5, 52.5)]);
    const take = end.page.onmessage!, held: MessageEvent<Report>[] = [];
    end.page.onmessage = (event) => void held.push(event);
    const packets = () => held.filter(({ data }) => data.type === "packet").length;
    for (let second = 6; second < 10; second++) {
      say({ type: "position", topic: "area", ...at("a", 13.5 + second / 1e3, 52.5, `2026-01-02T03:04:0${second}.000Z`) });
      say({ type: "position", topic: "area", ...at(`b${second}`, 13.5, 52.5) });
      await told();
      assert.equal(packets(), 1, "one is under way");
    }
    end.page.onmessage = take;
    held.forEach((event) => take(event));
    await told();
    assert.deepEqual(known(), ["a", "b6", "b7", "b8", "b9"]);
    assert.deepEqual([fleet.devices.get("a")!.before!.position.longitude, fleet.devices.get("a")!.fix.position.longitude], [13.506, 13.509]);
  });

  it("gives numbers of devices that are gone to others", async () => {
    await open();
    answer(sent()[0]!, ["a", "b", "c"].map((id) => at(id, 13.5, 52.5)));
    for (const [goes, comes] of [["b", "d"], ["a", "e"], ["d", "f"]] as const) {
      say({ type: "left", topic: area(grown(CITY)), device_id: goes, timestamp: STAMP });
      say({ type: "position", topic: "area", ...at(comes, 13.7, 52.5) });
      await told();
    }
    assert.deepEqual(known(), ["c", "e", "f"]);
    for (const [id, { id: own, fix }] of fleet.devices) assert.deepEqual([own, fix.position.device_id], [id, id]);
    const numbers = end.feed.sent.flatMap((report) => (report.type === "packet" ? [...report.packet.numbers.filter((_, i) => i % FIELDS === NUMBER)] : []));
    assert.deepEqual(numbers, [0, 1, 2, 1, 0, 1]);
  });

  it("wakes the client when the page is seen again, shown again, or goes on, or its network is back", async () => {
    await open();
    page.hidden = true;
    page.dispatchEvent(new Event("visibilitychange"));
    assert.equal(woken, 0);
    page.hidden = false;
    page.dispatchEvent(new Event("visibilitychange"));
    page.dispatchEvent(new Event("resume"));
    around.dispatchEvent(new Event("pageshow"));
    around.dispatchEvent(new Event("online"));
    assert.equal(woken, 4);
  });

  it("knows where all devices are, unless the server does not say, or is away", async () => {
    await open();
    answer(sent()[0]!, [at("a", 13.5, 52.5)]);
    const asked = async () => {
      const box = fleet.everywhere();
      await settle();
      return { box, request: sent().find(({ type, topic }) => type === "subscribe" && topic === area([-180, -90, 180, 90]))! };
    };
    const first = await asked();
    answer(first.request, [at("a", 13.5, 52.5), at("far", -70, -30)]);
    assert.deepEqual(await first.box, [-70, -30, 13.5, 52.5]);
    await settle();
    const second = await asked();
    refuse(second.request);
    assert.deepEqual(await second.box, [-180, -90, 180, 90]);
    await settle();
    const third = await asked();
    Socket.last.onclose?.({ code: 1009, reason: "message too big" });
    assert.deepEqual([await third.box, await fleet.everywhere()], [undefined, undefined]);
  });
});
