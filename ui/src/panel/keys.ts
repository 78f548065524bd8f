// Keys: what single keys do.

/** What a key does. */
export type Action = "search" | "list" | "follow" | "show" | "fit" | "event" | "theme" | "units" | "panel" | "help" | "escape";

/** Each key, what it does, and how the help says it. */
export const KEYS: readonly { readonly key: string; readonly action: Action; readonly text: string }[] = [
  { key: "/", action: "search", text: "Search" },
  { key: "l", action: "list", text: "Go to the list" },
  { key: "f", action: "follow", text: "Follow the selected device, or stop" },
  { key: "s", action: "show", text: "Show the selected device on the map" },
  { key: "a", action: "fit", text: "Show all devices" },
  { key: "e", action: "event", text: "Add an event" },
  { key: "p", action: "panel", text: "Hide or show the panel" },
  { key: "d", action: "theme", text: "Dark or light" },
  { key: "u", action: "units", text: "Kilometres or miles" },
  { key: "?", action: "help", text: "This help" },
  { key: "Escape", action: "escape", text: "Clear the search, close the card" },
];

/** What is needed of a key event and of where it happened. */
export interface Pressed {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly repeat: boolean;
  readonly isComposing: boolean;
  readonly defaultPrevented: boolean;
}

/** What a key does; undefined: nothing, as someone types, or the key means something else. */
export function actionOf(event: Pressed, typing: boolean, on: boolean): Action | undefined {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return undefined;
  const found = KEYS.find(({ key }) => key === event.key)?.action;
  // Escape is no character: it may not be switched off (WCAG 2.1.4), and ends typing.
  if (found === "escape") return found;
  return on && !typing ? found : undefined;
}

/** Whether keys go into a field. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "button", "submit", "range"].includes(target.type);
}
