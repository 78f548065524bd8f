// The URL: what the page shows, as a query string, so that a link shows the same.
// ?at=<zoom>/<latitude>/<longitude>[/<bearing>]&device=<id>&follow=1&event=<name>&event=…&only=1&embed=1&theme=dark&units=imperial

import { nameFault } from "./names.ts";
import { MOST_EVENTS, type PageState, type Shown, type View } from "./state.ts";

const OURS = ["at", "device", "follow", "event", "only", "embed", "theme", "units"];
const MOST_ZOOM = 24;
/** Between two changes of the URL, ms. Safari throws at the 101st within 30 s. */
const PAUSE = 400;

/** What a query string asks for. What is wrong or too much in it is ignored, each value for itself. */
export function readShown(query: string): Shown {
  const values = new URLSearchParams(query);
  const selected = values.getAll("device").find((id) => nameFault(id) === undefined);
  const events = [...new Set(values.getAll("event"))].filter((name) => nameFault(name) === undefined).slice(0, MOST_EVENTS);
  const theme = values.get("theme"), units = values.get("units");
  return {
    view: readView(values.get("at")),
    selected,
    follow: selected !== undefined && values.get("follow") === "1",
    events,
    only: events.length > 0 && values.get("only") === "1",
    embed: values.get("embed") === "1",
    theme: theme === "light" || theme === "dark" ? theme : "auto",
    units: units === "metric" || units === "imperial" ? units : undefined,
  };
}

/** A plain decimal number within a range; undefined if it is anything else. */
function between(text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined || !/^-?\d{1,4}(\.\d{1,20})?$/.test(text)) return undefined;
  const value = Number(text);
  return value >= least && value <= most ? value : undefined;
}

function readView(text: string | null): View | undefined {
  const parts = text?.split("/") ?? [];
  if (parts.length < 3 || parts.length > 4) return undefined;
  const zoom = between(parts[0], 0, MOST_ZOOM);
  const latitude = between(parts[1], -90, 90);
  const longitude = between(parts[2], -180, 180);
  if (zoom === undefined || latitude === undefined || longitude === undefined) return undefined;
  return { zoom, latitude, longitude, bearing: between(parts[3], -360, 360) ?? 0 };
}

/** The query string that shows this: "" or "?…". What else is in `query` stays in it, at its end. */
export function writeShown(shown: Shown, query: string): string {
  const values: [string, string][] = [];
  if (shown.view) values.push(["at", writeView(shown.view)]);
  if (shown.selected !== undefined) values.push(["device", shown.selected]);
  if (shown.selected !== undefined && shown.follow) values.push(["follow", "1"]);
  for (const name of shown.events) values.push(["event", name]);
  if (shown.events.length > 0 && shown.only) values.push(["only", "1"]);
  if (shown.embed) values.push(["embed", "1"]);
  if (shown.theme !== "auto") values.push(["theme", shown.theme]);
  if (shown.units !== undefined) values.push(["units", shown.units]);
  for (const [name, value] of new URLSearchParams(query)) if (!OURS.includes(name)) values.push([name, value]);
  // A slash may stand in a query (RFC 3986 section 3.4), and reads better than %2F.
  const text = new URLSearchParams(values).toString().replaceAll("%2F", "/");
  return text === "" ? "" : `?${text}`;
}

function writeView(view: View): string {
  // As many decimals as a pixel needs at this zoom, as in MapLibre's own hash.
  const decimals = Math.max(0, Math.ceil((view.zoom * Math.LN2 + Math.log(512 / 360 / 0.5)) / Math.LN10));
  const round = (value: number, most: number) => String(Number(value.toFixed(most)));
  const longitude = ((((view.longitude + 180) % 360) + 360) % 360) - 180;
  const latitude = Math.min(90, Math.max(-90, view.latitude));
  const parts = [round(view.zoom, 2), round(latitude, decimals), round(longitude, decimals)];
  const bearing = round(((view.bearing % 360) + 360) % 360, 1);
  if (bearing !== "0" && bearing !== "360") parts.push(bearing);
  return parts.join("/");
}

/** What keeping the URL needs of a window. */
export interface UrlWindow {
  readonly location: Pick<Location, "search" | "pathname" | "hash">;
  readonly history: Pick<History, "replaceState" | "state">;
  setTimeout(run: () => void, ms: number): number;
  clearTimeout(timer: number): void;
}

/** Keeps the URL as the page is, until the function that is returned is called. No entry in the history for each move. */
export function keepUrl(state: PageState, page: UrlWindow): () => void {
  let timer: number | undefined;
  let due = false;
  const write = () => {
    due = false;
    timer = page.setTimeout(rest, PAUSE);
    const query = writeShown(state.shown, page.location.search);
    if (query === page.location.search) return;
    try {
      page.history.replaceState(page.history.state, "", `${page.location.pathname}${query}${page.location.hash}`);
    } catch {
      // A browser that has had enough of them, or a document that may not: the page works without.
    }
  };
  const rest = () => {
    timer = undefined;
    if (due) write();
  };
  const stop = state.on("change", () => {
    if (timer === undefined) write();
    else due = true;
  });
  return () => {
    stop();
    if (timer !== undefined) page.clearTimeout(timer);
  };
}
