// How numbers, times and places are written: English, in the units that were chosen.

import type { Units } from "./config.ts";

const METRES_IN = { mile: 1609.344, foot: 0.3048 };
const POINTS = ["N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW"] as const;
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const time = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

/** A whole number, with commas. */
export function number(value: number): string {
  return whole.format(value);
}

/** `count` of something: "1 device", "1,200 devices". */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** A length of time in ms, in its largest unit, rounded down: "12 s", "3 min", "5 h", "2 d". Less than none is none. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${number(Math.floor(seconds / 86_400))} d`;
}

/** How long ago something was: "just now", "12 s ago". */
export function ago(ms: number): string {
  return ms < 1000 ? "just now" : `${duration(ms)} ago`;
}

/** A time in full, in the time zone of whoever reads it; ms since 1970. */
export function fullTime(ms: number): string {
  // The dates that JavaScript has: 100,000,000 days around 1970 (ECMA-262, "Time Values").
  return Math.abs(ms) <= 8.64e15 ? time.format(ms) : "unknown";
}

/** A number below ten with one decimal, others without. */
function short(value: number): string {
  return Math.abs(value) < 9.95 ? tenth.format(value) : whole.format(value);
}

/** A speed in m/s: "54 km/h", "4.5 mph"; "0 km/h" when it stands. */
export function speed(metresPerSecond: number, units: Units): string {
  const value = units === "imperial" ? (metresPerSecond * 3600) / METRES_IN.mile : metresPerSecond * 3.6;
  const text = Math.abs(value) < 0.05 ? "0" : short(value);
  return `${text} ${units === "imperial" ? "mph" : "km/h"}`;
}

/** A distance in metres: "850 m", "1.2 km", "1,234 km"; "300 ft", "1.2 mi". */
export function distance(metres: number, units: Units): string {
  if (units === "imperial") {
    return metres < 0.1 * METRES_IN.mile ? `${whole.format(metres / METRES_IN.foot)} ft` : `${short(metres / METRES_IN.mile)} mi`;
  }
  return metres < 999.5 ? `${whole.format(metres)} m` : `${short(metres / 1000)} km`;
}

/** A height in metres, or how exact a position is: in metres or feet however large. */
export function height(metres: number, units: Units): string {
  return units === "imperial" ? `${whole.format(metres / METRES_IN.foot)} ft` : `${whole.format(metres)} m`;
}

/** Latitude and longitude as other maps take them; six decimals are 11 cm. */
export function coordinates(latitude: number, longitude: number): string {
  return `${latitude.toFixed(6)}, ${longitude.toFixed(6)}`;
}

/** The nearest of the 16 points of the compass; degrees clockwise from north. */
export function compass(degrees: number): string {
  return POINTS[Math.round((((degrees % 360) + 360) % 360) / 22.5) % 16] ?? "N";
}

/** A heading: "NE, 47°". */
export function heading(degrees: number): string {
  return `${compass(degrees)}, ${Math.round((((degrees % 360) + 360) % 360)) % 360}°`;
}
