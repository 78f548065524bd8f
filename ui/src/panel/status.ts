// Status: how the connection is, when the page last heard of a device, and what people should know.

import { areasOf, boxText } from "../access.ts";
import { ago, duration, number, plural } from "../format.ts";
import type { Status } from "../fleet.ts";
import type { Context } from "./context.ts";
import { el, setHidden, setText } from "./dom.ts";

/** What the status line says: its state, and what changes each second, which screen readers do not read. */
export function statusLine(status: Status, heardAgo: number | undefined, now: number): { text: string; more: string } {
  const why = status.message === undefined ? "" : `: ${status.message}`;
  if (status.access === "ended") return { text: `Access has ended${why}`, more: "" };
  if (status.access !== "open") return { text: status.access === "needed" ? "A token is needed" : `The token was not accepted${why}`, more: "" };
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

/** So many areas are named. */
const FEW = 3;

/** What to say of what may be seen; undefined where that is everything. */
export function limitsText(mayRead: readonly string[] | undefined): string | undefined {
  const areas = areasOf(mayRead);
  if (!areas) return undefined;
  if (areas.length > 0) {
    const more = areas.length > FEW ? `; and ${plural(areas.length - FEW, "other area")}` : "";
    return `The map shows devices only here: ${areas.slice(0, FEW).map(boxText).join("; ")}${more}.`;
  }
  const names = mayRead!.slice(0, FEW).join(", "), more = mayRead!.length > FEW ? " and others" : "";
  return mayRead!.length === 0 ? "Your access includes no devices." :
    `Your access includes no area of the map, but ${names}${more}: add an event, or look up a device by its id.`;
}

/** What to say of what was asked for and may not be seen; undefined where there is nothing to say. */
export function forbiddenText({ forbidden: { view, device } }: Status, isKnown: (id: string) => boolean): string | undefined {
  if (view) return "Your access does not include the devices in view.";
  if (device === undefined || isKnown(device)) return undefined;
  return `Your access does not include the device ${device}; it is shown where it is in an area that you may see.`;
}

export class StatusLine {
  readonly element: HTMLElement;
  readonly notices = el("div", { class: "notices", "aria-live": "polite", "aria-atomic": "false" });
  readonly #context: Context;
  readonly #text = el("span", { role: "status", class: "status-text" });
  readonly #more = el("span", { class: "status-more" });
  readonly #tooMany = notice("warning");
  readonly #refused = notice("warning");
  readonly #forbidden = notice("warning");
  readonly #limits = notice("info");
  readonly #map = notice("info");
  readonly #token = el("button", { type: "button", class: "button", hidden: true }, "Enter a token");

  /** `askToken` opens the dialog for a token. */
  constructor(context: Context, askToken: () => void) {
    this.#context = context;
    this.#token.addEventListener("click", askToken);
    const dot = el("span", { class: "status-dot", "aria-hidden": "true" });
    this.element = el("div", { class: "status" }, dot, el("div", {}, this.#text, " ", this.#more), this.#token);
    this.notices.append(this.#tooMany, this.#refused, this.#forbidden, this.#limits, this.#map);
    context.signal.addEventListener("abort", context.fleet.on("status", () => this.tick()));
    this.tick();
  }

  /** Something of the map for people to know; undefined takes it back. */
  notice(text: string | undefined): void {
    say(this.#map, text);
  }

  /** Time has passed, or the state is another. */
  tick(): void {
    const { status, heard, devices } = this.#context.fleet;
    const { text, more } = statusLine(status, heard === undefined ? undefined : performance.now() - heard, Date.now());
    this.element.dataset["state"] = status.connection;
    document.body.dataset["connection"] = status.connection;
    setText(this.#text, text);
    setText(this.#more, more);
    say(this.#tooMany, status.tooMany && tooManyText(status.tooMany.message));
    setHidden(this.#token, status.access !== "needed" && status.access !== "refused");
    const isIn = status.access === "open";
    say(this.#forbidden, isIn ? forbiddenText(status, (id) => devices.has(id)) : undefined);
    // In a small frame there is no room for what is seen on the map anyway.
    const isFramed = this.#context.state.shown.embed && areasOf(status.mayRead)?.length !== 0;
    say(this.#limits, isIn && !isFramed ? limitsText(status.mayRead) : undefined);
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
