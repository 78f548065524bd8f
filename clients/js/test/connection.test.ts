// Connection on a clock of its own: silence, and sleep.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { Connection } from "../src/connection.ts";
import type { Reason } from "../src/index.ts";
import { Socket } from "./socket.ts";

/** The machine sleeps for an hour in the middle of a probe: the clock goes on, and the timer fires late. */
function sleep(): void {
  mock.timers.setTime(Date.now() + 3_600_000);
  mock.timers.tick(8_000);
}

describe("a connection", () => {
  let ends: Reason[];
  let heard: unknown[];
  let probes: number;
  let socket: Socket;
  let connection: Connection;

  beforeEach(() => {

    mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
    Object.assign(globalThis, { WebSocket: Socket });
    [ends, heard, probes] = [[], [], 0];
    const events = {
      opened: () => {}, message: (message: unknown) => void heard.push(message), closed: (why: Reason) => void ends.push(why),
    };
    connection = new Connection("ws://x/", {}, events, () => void (probes += 1));
    socket = Socket.last;
  });

  afterEach(() => mock.timers.reset());

  it("that does not open is given up after 10 s, and is heard of no more", () => {
    const { onopen, onclose } = socket;
    mock.timers.tick(9_999);
    assert.deepEqual(ends, []);
    mock.timers.tick(1);
    assert.deepEqual(ends, [{ code: 1006, message: "the server does not answer" }]);
    assert.ok(socket.closed);
    assert.deepEqual([socket.onopen, socket.onclose, socket.onmessage], [null, null, null]);
    onclose?.({ code: 1006, reason: "" });
    onopen?.();
    assert.equal(ends.length, 1);
  });

  it("is asked every 25 s, and given up when nothing has come for 8 s then", () => {
    socket.open();
    socket.say({ type: "position" });
    mock.timers.tick(24_999);
    assert.equal(probes, 0);
    mock.timers.tick(1);
    assert.equal(probes, 1);
    mock.timers.tick(7_999);
    assert.deepEqual(ends, []);
    mock.timers.tick(1);
    assert.equal(ends.length, 1);
  });

  it("takes anything that comes for an answer", () => {
    socket.open();
    for (let n = 1; n <= 10; n++) {
      mock.timers.tick(25_000);
      assert.equal(probes, n);
      socket.say({ type: "position" });
      mock.timers.tick(8_000);
    }
    assert.deepEqual(ends, []);
  });

  it("is not killed by a timer that overslept: what came meanwhile is read first", () => {
    socket.open();
    connection.probe();
    sleep();
    assert.deepEqual(ends, []);
    mock.timers.tick(500);
    socket.say({ type: "welcome" });
    mock.timers.tick(60_000);
    assert.deepEqual(ends, [], "it lives");
  });

  it("is given up after sleep if it does not answer within a second", () => {
    socket.open();
    connection.probe();
    sleep();
    mock.timers.tick(999);
    assert.deepEqual(ends, []);
    mock.timers.tick(1);
    assert.equal(ends.length, 1);
  });

  it("is asked after sleep, whatever came before it", () => {
    socket.open();
    socket.say({ type: "position" });
    mock.timers.setTime(Date.now() + 3_600_000);
    mock.timers.tick(25_000);
    assert.equal(probes, 1);
  });

  it("is given grace once, as a page that is hidden has a timer a minute", () => {
    socket.open();
    connection.probe();
    sleep();
    mock.timers.setTime(Date.now() + 60_000);
    mock.timers.tick(1_000);
    assert.equal(ends.length, 1);
  });

  it("that was closed without a word is found out when it is probed", () => {
    socket.open();
    socket.readyState = 3;
    connection.probe();
    assert.deepEqual(ends, [{ code: 1006, message: "the connection was cut" }]);
  });

  it("says why it was closed, once", () => {
    socket.open();
    socket.onclose?.({ code: 1001, reason: "server shutting down" });
    socket.onclose?.({ code: 1006, reason: "" });
    assert.deepEqual(ends, [{ code: 1001, message: "server shutting down" }]);
  });

  it("does not mind what is no JSON", () => {
    socket.open();
    socket.onmessage?.({ data: "{" });
    socket.onmessage?.({ data: "null" });
    socket.say({ type: "of tomorrow" });
    assert.deepEqual(heard, [{ type: "of tomorrow" }]);
  });

  it("that was closed here says nothing", () => {
    socket.open();
    connection.close();
    connection.send({});
    connection.probe();
    mock.timers.tick(100_000);
    assert.deepEqual([ends, socket.sent, probes], [[], [], 0]);
  });
});
