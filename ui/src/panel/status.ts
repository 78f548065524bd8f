// Status: how the connection is, when the page last heard of a device, and what people should know.

import { ago, duration, number } from "../format.ts";
import type { Status } from "../fleet.ts";
import type { Context } from "./context.ts";
import { el, setHidden, setText } from "./dom.ts";

/** What the status line says: its state, and what changes each second, which screen readers do not read. */
export function statusLine(status: Status, heardAgo: number | undefined, now: number): { text: string; more: string } {
  const why = status.message === undefined ? "" : `: ${status.message}`;
  const heard = heardAgo === undefined ? "" : `last update ${ago(heardAgo)}`;
  switch (status.connection) {
    case "idle":
    case "connecting":
      return { text: "Connecting", more: heard };
    case "connected":
      return { text: "Connected", more: heard === "" ? "no update yet" : heard };
    case "waiting": {
      const wait = (status.until ?? now) - now;
      return { text: `Not connected${why}`, more: wait < 500 ? "trying again" : `trying again in ${duration(wait + 999)}` };
    }
    case "closed":
      return { text: `Closed${why}`, more: "load the page again to connect" };
  }
}

/** What to say of more devices than the server sends. Its message has how many there are, and how many it sends. */
export function tooManyText(message: string): string {
  const [inside, most] = (message.match(/\d+/g) ?? []).map(Number);
  if (inside === undefined || most === undefined) {
    return `More devices are in view than the server sends at once. Zoom in to see them. (${message})`;
  }
  return `${number(inside)} devices are in view, more than the server sends at once (${number(most)}). Zoom in to see them.`;
}

export class StatusLine {
  readonly element: HTMLElement;
  readonly notices = el("div", { class: "notices", "aria-live": "polite", "aria-atomic": "false" });
  readonly #context: Context;
  readonly #text = el("span", { role: "status", class: "status-text" });
  readonly #more = el("span", { class: "status-more" });
  readonly #tooMany = notice("warning");
  readonly #refused = notice("warning");
  readonly #map = notice("info");

  constructor(context: Context) {
    this.#context = context;
    const dot = el("span", { class: "status-dot", "aria-hidden": "true" });
    this.element = el("div", { class: "status" }, dot, el("div", {}, this.#text, " ", this.#more));
    this.notices.append(this.#tooMany, this.#refused, this.#map);
    context.signal.addEventListener("abort", context.fleet.on("status", () => this.tick()));
    this.tick();
  }

  /** Something of the map for people to know; undefined takes it back. */
  notice(text: string | undefined): void {
    say(this.#map, text);
  }

  /** Time has passed, or the state is another. */
  tick(): void {
    const { status, heard } = this.#context.fleet;
    const { text, more } = statusLine(status, heard === undefined ? undefined : performance.now() - heard, Date.now());
    this.element.dataset["state"] = status.connection;
    document.body.dataset["connection"] = status.connection;
    setText(this.#text, text);
    setText(this.#more, more);
    say(this.#tooMany, status.tooMany && tooManyText(status.tooMany.message));
    say(this.#refused, status.connection === "connected" ? status.message : undefined);
  }
}

function notice(kind: "warning" | "info"): HTMLElement {
  return el("p", { class: `notice ${kind}`, hidden: true });
}

function say(element: HTMLElement, text: string | undefined): void {
  setText(element, text ?? "");
  setHidden(element, text === undefined);
}
