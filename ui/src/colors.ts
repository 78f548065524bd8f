// The colours of devices: one for each event, and one for those of no event.

/** A colour as `#rrggbb`. */
export type Color = `#${string}`;

/** Devices of no event that was asked for. */
export const PLAIN: Color = "#1f6feb";

/**
 * Of events, in the order in which they were asked for, then again from the first. Told apart by people who see fewer
 * colours, on light and dark maps (after Paul Tol's "vibrant" and "muted" schemes).
 */
export const EVENT_COLORS: readonly Color[] = [
  "#ee7733", "#009988", "#ee3377", "#aa8800", "#aa4499", "#33bbee", "#cc3311", "#117733",
];

/** The colour of the event that was asked for as number `index`. */
export function eventColor(index: number): Color {
  return EVENT_COLORS[index % EVENT_COLORS.length] ?? PLAIN;
}

/** Red, green and blue, 0 to 255. */
export function channels(color: Color): readonly [number, number, number] {
  const rgb = parseInt(color.slice(1), 16);
  return [rgb >> 16, (rgb >> 8) & 255, rgb & 255];
}
