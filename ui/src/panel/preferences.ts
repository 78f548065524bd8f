// Preferences: what this browser remembers of how the page is to look. Storage may be missing, full or forbidden.

import type { Units } from "../config.ts";
import type { PageState, Shown, Theme } from "../state.ts";
import { readShown } from "../url.ts";
import { ORDERS, type Order } from "./order.ts";

const KEY = "processor-map";

export interface Preferences {
  readonly theme: Theme;
  readonly units: Units | undefined;
  readonly order: Order;
  /** Whether single keys do something. */
  readonly keys: boolean;
}

/** What is remembered; what is not, or not rightly, is as it is at first. */
export function preferences(): Preferences {
  let kept: Partial<Record<string, unknown>> = {};
  try {
    const value: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    if (typeof value === "object" && value !== null) kept = value as Partial<Record<string, unknown>>;
  } catch {
    // No storage, or not ours.
  }
  const { theme, units, order, keys } = kept;
  return {
    theme: theme === "light" || theme === "dark" ? theme : "auto",
    units: units === "metric" || units === "imperial" ? units : undefined,
    order: ORDERS.find((known) => known === order) ?? "age",
    keys: keys !== false,
  };
}

/** Remembers some of it. */
export function prefer(change: Partial<Preferences>): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...preferences(), ...change }));
  } catch {
    // Then it is as at first the next time.
  }
}

/** What to show first: what the URL asks for; looks that it does not name are as this browser remembers. */
export function shownAtFirst(query: string): Shown {
  const shown = readShown(query);
  if (shown.embed) return shown;
  const { theme, units } = preferences();
  return { ...shown, theme: shown.theme === "auto" ? theme : shown.theme, units: shown.units ?? units };
}

/** Remembers looks as they are changed on the page. A page in another's frame leaves no trace. */
export function rememberLooks(state: PageState): () => void {
  return state.on("change", ({ now, before }) => {
    if (now.embed) return;
    if (now.theme !== before.theme) prefer({ theme: now.theme });
    if (now.units !== before.units) prefer({ units: now.units });
  });
}
