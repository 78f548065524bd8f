// The panel: joins its parts.

import { isInside } from "../../../clients/js/src/box.ts";
import { Card } from "./card.ts";
import { everySecond } from "./clock.ts";
import type { Context } from "./context.ts";
import { Choice, Controls } from "./controls.ts";
import { el, setText } from "./dom.ts";
import { fullPageLink } from "./embed.ts";
import { Events } from "./events.ts";
import { Help } from "./help.ts";
import { type Action, actionOf, isTyping } from "./keys.ts";
import { DeviceList } from "./list.ts";
import { nameOf } from "./look.ts";
import { showNoMap } from "./nomap.ts";
import type { Order } from "./order.ts";
import { prefer, preferences, rememberLooks } from "./preferences.ts";
import { SearchBox } from "./searchbox.ts";
import { Sheet } from "./sheet.ts";
import { StatusLine } from "./status.ts";
import { keepTheme } from "./theme.ts";
import { TokenDialog } from "./token.ts";
import type { Panel, PanelOptions } from "./types.ts";

/** Opens the panel in its root. */
export function openPanel(options: PanelOptions): Panel {
  const closing = new AbortController(), { signal } = closing;
  const said = el("div", { class: "visually-hidden", role: "status" });
  const context: Context = {
    ...options, signal,
    units: () => options.state.shown.units ?? options.config.units,
    select: (device, show) => {
      options.state.set({ selected: device.id });
      if (options.noMap === undefined && (show || !isInside(options.map.box(), device.fix.position))) options.map.show(device);
    },
    announce: (text) => setText(said, text),
  };
  const { state, root } = options;
  root.replaceChildren();
  signal.addEventListener("abort", rememberLooks(state));
  keepTheme(state, signal);
  if (options.noMap !== undefined) showNoMap(options.noMap, state.shown.embed, signal);
  const token = new TokenDialog(context), status = new StatusLine(context, () => token.open()), card = new Card(context);
  document.body.classList.toggle("embed", state.shown.embed);
  if (state.shown.embed) {
    const title = el("h1", { class: "visually-hidden" }, "Live map");
    root.append(title, fullPageLink(context), status.element, status.notices, card.element, said);
    everySecond(() => {
      status.tick();
      card.tick();
    }, signal);
    listenToKeys(signal, { escape: () => card.close() });
  } else {
    openWhole(context, status, card, said);
  }
  // Not below what may be hidden.
  document.body.append(token.element);
  token.update(options.fleet.status);
  selectionIsSaid(context);
  signal.addEventListener("abort", () => {
    root.replaceChildren();
    token.element.remove();
    document.body.classList.remove("embed");
  });
  return { close: () => closing.abort(), notice: (text) => status.notice(text) };
}

/** The panel of the full page. */
function openWhole(context: Context, status: StatusLine, card: Card, said: HTMLElement): void {
  const { root, state, config, noMap, signal, map } = context;
  const list = new DeviceList(context, order(noMap)), search = new SearchBox(context, list), events = new Events(context);
  const help = new Help(config.version), controls = new Controls(context, () => help.open()), sheet = new Sheet(context);
  const sort = sorting(list, noMap);
  list.onChange = (count) => {
    search.update(count);
    // Not `hidden`: the list keeps its height, by which it knows that it is seen.
    list.element.classList.toggle("empty", list.devices.length === 0);
  };
  const devices = el("section", { class: "devices", "aria-labelledby": "list-count" },
    el("div", { class: "devices-head" }, el("div", {}, list.count, list.ages), sort), search.offer, list.element);
  const body = el("div", { class: "panel-body", id: "panel-body" }, controls.settings, card.element, events.element, devices);
  const bar = el("div", { class: "bar" }, sheet.grip, el("h1", {}, "Live map"), controls.element);
  const head = el("div", { class: "panel-head" }, bar, status.element, status.notices, search.element);
  root.append(head, body, said, help.element);
  const reveal = () => {
    const focused = document.activeElement === list.element;
    root.classList.toggle("has-card", state.shown.selected !== undefined);
    if (state.shown.selected === undefined) return;
    sheet.reveal();
    // Where there is not room for both, the list has gone, and the focus with it.
    if (focused && !list.element.checkVisibility()) card.focus();
  };
  reveal();
  signal.addEventListener("abort", state.on("change", ({ now, before }) => {
    if (now.selected !== before.selected) reveal();
  }));
  search.element.addEventListener("focusin", () => sheet.reveal("full"));
  controls.element.addEventListener("click", () => controls.settings.hidden || sheet.reveal());
  everySecond(() => {
    for (const part of [status, card, list, events]) part.tick();
  }, signal);
  const withPanel = (focus: () => void) => {
    sheet.reveal();
    focus();
  };
  listenToKeys(signal, {
    search: () => withPanel(() => search.focus()), list: () => withPanel(() => list.focus()), event: () => withPanel(() => events.focus()),
    follow: () => card.follow(), show: () => card.show(), panel: () => sheet.toggle(), help: () => help.open(),
    theme: () => controls.toggleTheme(), units: () => controls.toggleUnits(),
    fit: () => noMap === undefined && map.fitAll(),
    escape: () => {
      const inside = card.element.contains(document.activeElement);
      if (state.shown.selected === undefined) search.clear();
      else card.close();
      if (inside) list.focus();
    },
  });
}

/** Without a map there is no middle to be near to. */
function order(noMap: string | undefined): Order {
  const { order } = preferences();
  return noMap !== undefined && order === "distance" ? "age" : order;
}

function sorting(list: DeviceList, noMap: string | undefined): HTMLElement {
  const values = { age: "Newest", ...(noMap === undefined ? { distance: "Nearest" } : {}), name: "Name" } as Record<Order, string>;
  const choice = new Choice<Order>("order", "Sort by", values, (order) => {
    list.setOrder(order);
    prefer({ order });
  });
  choice.show(list.order);
  return choice.element;
}

function listenToKeys(signal: AbortSignal, actions: Partial<Record<Action, () => void>>): void {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const run = actions[actionOf(event, isTyping(event.target), preferences().keys) ?? ("" as Action)];
    if (!run) return;
    event.preventDefault();
    run();
  }, { signal });
}

/** The title of the page names what is selected, so that tabs are told apart; screen readers hear of it, also of a click on the map. */
function selectionIsSaid({ state, signal, announce, fleet }: Context): void {
  const title = (id: string | undefined) => {
    document.title = id === undefined ? "Live map" : `${id} – Live map`;
  };
  signal.addEventListener("abort", state.on("change", ({ now: { selected }, before }) => {
    if (selected === before.selected) return;
    title(selected);
    const device = selected === undefined ? undefined : fleet.devices.get(selected);
    announce(selected === undefined ? "Nothing selected" : `${device ? nameOf(device) : selected} selected`);
  }));
  title(state.shown.selected);
}
