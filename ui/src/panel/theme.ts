// Theme: light or dark, as was chosen or as the system has it.

import type { PageState, Theme } from "../state.ts";

const system = () => matchMedia("(prefers-color-scheme: dark)");

/** Whether a theme is dark now. */
export function isDark(theme: Theme): boolean {
  return theme === "auto" ? system().matches : theme === "dark";
}

/** Calls `listener` when the theme becomes dark or light, until the signal if there is one. */
export function onTheme(state: PageState, listener: (dark: boolean) => void, signal?: AbortSignal): void {
  let last = isDark(state.shown.theme);
  const set = () => {
    const dark = isDark(state.shown.theme);
    if (dark === last || signal?.aborted) return;
    last = dark;
    listener(dark);
  };
  system().addEventListener("change", set, signal && { signal });
  const off = state.on("change", set);
  signal?.addEventListener("abort", off);
}

/** Keeps `data-theme` of the document "light" or "dark", until the signal. */
export function keepTheme(state: PageState, signal: AbortSignal): void {
  const show = (dark: boolean) => (document.documentElement.dataset["theme"] = dark ? "dark" : "light");
  show(isDark(state.shown.theme));
  onTheme(state, show, signal);
}
