// The URL: what a link restores, and what it does not take.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PageState, type Shown } from "../src/state.ts";
import { keepUrl, readShown, type UrlWindow, writeShown } from "../src/url.ts";

const NOTHING: Shown = { view: undefined, selected: undefined, follow: false, events: [], only: false, embed: false, theme: "auto", units: undefined };
const FULL = "?at=12.5/52.52/13.405/30&device=van/7&follow=1&event=rally-42&event=tour+de+x&only=1&embed=1&theme=dark&units=imperial";

test("everything is read and written back the same", () => {
  const shown = readShown(FULL);
  assert.deepEqual(shown, {
    view: { zoom: 12.5, latitude: 52.52, longitude: 13.405, bearing: 30 }, selected: "van/7", follow: true, events: ["rally-42", "tour de x"],
    only: true, embed: true, theme: "dark", units: "imperial",
  });
  assert.equal(writeShown(shown, ""), FULL);
  assert.deepEqual(readShown(""), NOTHING);
  assert.equal(writeShown(NOTHING, ""), "");
});

test("ids and names of any characters survive", () => {
  for (const name of ["a&b=c", "100 %+?#", "<img src=x onerror=alert(1)>", "\u202Eevil", "🚚", "x".repeat(128), "ü/ü"]) {
    const shown = { ...NOTHING, selected: name, events: [name] };
    assert.deepEqual(readShown(writeShown(shown, "")), shown, name);
  }
});

test("what is wrong is ignored, each value for itself", () => {
  const wrong = [
    "", "x", "1", "1/2", "1/2/3/4/5", "-1/0/0", "25/0/0", "3/91/0", "3/0/181", "NaN/0/0", "1e1/0/0", "Infinity/0/0", "3/0x10/0", "3/ 1/0", "3/1,5/0",
    `3/${"9".repeat(400)}/0`,
  ];
  for (const at of wrong) {
    const query = `?${new URLSearchParams({ at, theme: "dark" })}`;
    assert.deepEqual(readShown(query), { ...NOTHING, theme: "dark" }, at);
  }
  for (const bearing of ["361", "x", ""]) assert.equal(readShown(`?at=3/1/2/${bearing}`).view?.bearing, 0);
  assert.deepEqual(readShown(`?device=&device=${"x".repeat(129)}&device=%00&follow=1&only=1&embed=yes&theme=pink&units=cubits`), NOTHING);
  assert.deepEqual(readShown("?event=%0A&event=&event=a&event=a&event=b").events, ["a", "b"]);
  assert.equal(readShown(`?${Array.from({ length: 40 }, (_, index) => `event=e${index}`).join("&")}`).events.length, 16);
  assert.deepEqual(readShown("?%E0%A4%A&at=%ZZ"), NOTHING);
});

test("what is not the map's stays in the URL", () => {
  assert.equal(writeShown({ ...NOTHING, selected: "1" }, "?utm=a&device=2&x=%2F&x=2&embed=1"), "?device=1&utm=a&x=/&x=2");
});

test("the view is as exact as its zoom, and its longitude within the world", () => {
  const at = (view: Shown["view"]) => new URLSearchParams(writeShown({ ...NOTHING, view }, "")).get("at");
  assert.equal(at({ zoom: 3.14159, latitude: 52.123456789, longitude: 13.987654321, bearing: 0 }), "3.14/52.12/13.99");
  assert.equal(at({ zoom: 18, latitude: 52.123456789, longitude: 193.5, bearing: -45 }), "18/52.123457/-166.5/315");
  assert.equal(at({ zoom: 0, latitude: 0, longitude: 180, bearing: 359.99 }), "0/0/-180");
});

/** A window whose time passes when the test says so. */
class Window implements UrlWindow {
  readonly location = { search: "?keep=1", pathname: "/map", hash: "#h" };
  readonly written: string[] = [];
  throws = false;
  #timers = new Map<number, { at: number; run: () => void }>();
  #now = 0;
  #next = 1;
  readonly history = {
    state: { theirs: true },
    replaceState: (state: unknown, _: string, url: string) => {
      if (this.throws) throw new DOMException("too many", "SecurityError");
      assert.equal(state, this.history.state);
      this.written.push(url);
      this.location.search = new URL(url, "http://x").search;
    },
  };

  setTimeout(run: () => void, ms: number): number {
    this.#timers.set(this.#next, { at: this.#now + ms, run });
    return this.#next++;
  }

  clearTimeout(timer: number): void {
    this.#timers.delete(timer);
  }

  pass(ms: number): void {
    for (const end = this.#now + ms; this.#now < end; this.#now++) {
      for (const [timer, { at, run }] of [...this.#timers]) if (at <= this.#now && this.#timers.delete(timer)) run();
    }
  }
}

test("the URL follows at once, then at most a few times a second, and ends right", () => {
  const page = new Window(), state = new PageState(NOTHING), stop = keepUrl(state, page);
  state.set({ selected: "1" });
  assert.deepEqual(page.written, ["/map?device=1&keep=1#h"]);
  // A minute of a map that moves with every frame.
  for (let frame = 0; frame < 3600; frame++) {
    state.set({ view: { zoom: 5, latitude: frame / 100, longitude: 0, bearing: 0 } });
    page.pass(17);
  }
  page.pass(1000);
  assert.ok(page.written.length > 60 && page.written.length < 180, `${page.written.length}`);
  assert.equal(page.written.at(-1), "/map?at=5/35.99/0&device=1&keep=1#h");
  stop();
  state.set({ selected: "2" });
  page.pass(1000);
  assert.equal(page.written.at(-1), "/map?at=5/35.99/0&device=1&keep=1#h");
});

test("a browser that refuses is asked again at the next change", () => {
  const page = new Window(), state = new PageState(NOTHING);
  keepUrl(state, page);
  page.throws = true;
  state.set({ selected: "1" });
  page.throws = false;
  page.pass(1000);
  state.set({ theme: "dark" });
  assert.deepEqual(page.written, ["/map?device=1&theme=dark&keep=1#h"]);
});
