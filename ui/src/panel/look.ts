// How a device is told apart: its name, its colour, how old what is known of it is, whether it moves.

import { eventColor, PLAIN, type Color } from "../colors.ts";
import type { Config } from "../config.ts";
import type { Age, Device } from "../device.ts";
import { headingOfDevice } from "../heading.ts";

/** Longer names are cut; ids are no longer than this anyway. */
const LONGEST_NAME = 128;

/** What people call it: its attribute `name`, or its id. */
export function nameOf(device: Device): string {
  const attribute = device.fix.position.attributes?.["name"];
  const name = typeof attribute === "string" ? attribute.trim() : "";
  if (name === "") return device.id;
  return name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}…` : name;
}

/** The colour of the first event that was asked for and that it is in. */
export function colorOf(device: Device, events: readonly string[]): Color {
  if (device.events.size === 0) return PLAIN;
  const first = events.findIndex((name) => device.events.has(name));
  return first < 0 ? PLAIN : eventColor(first);
}

/** How old what is known of it is; `now` by the server's clock, ms since 1970. */
export function ageOf(device: Device, now: number, config: Pick<Config, "stale_after_ms" | "lost_after_ms">): Age {
  const ms = now - device.fix.at;
  return ms >= config.lost_after_ms ? "lost" : ms >= config.stale_after_ms ? "stale" : "fresh";
}

/** Which way it goes, degrees clockwise from north; undefined if it stands. */
export function movingTo(device: Device): number | undefined {
  const heading = headingOfDevice(device);
  return heading === undefined ? undefined : (heading * 180) / Math.PI;
}
