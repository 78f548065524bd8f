// Theme: light or dark, as was chosen or as the system has it.

import type { PageState, Theme } from "../state.ts";

const system = () => matchMedia("(prefers-color-scheme: dark)");

/** Whether a theme is dark now. */
export function isDark(theme: Theme): boolean {
  return theme === "auto" ? system().matches : theme === "dark";
}

/** Keeps `data-theme` of the document "light" or "dark", and calls `listener` when it changes, until the signal. */
export function keepTheme(state: PageState, signal: AbortSignal, listener?: (dark: boolean) => void): void {
  let last: boolean | undefined;
  const set = () => {
    const dark = isDark(state.shown.theme);
    if (dark === last || signal.aborted) return;
    const first = last === undefined;
    last = dark;
    document.documentElement.dataset["theme"] = dark ? "dark" : "light";
    if (!first) listener?.(dark);
  };
  system().addEventListener("change", set, { signal });
  signal.addEventListener("abort", state.on("change", set));
  set();
}
