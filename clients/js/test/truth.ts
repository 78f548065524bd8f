// Truth: what was posted last of each device, and what a topic must hold because of it.

import { isInside } from "../src/box.ts";
import type { Box, Position } from "../src/index.ts";
import type { Report } from "./server.ts";
import { stamp } from "./server.ts";

export type Posted = Report & { readonly timestamp: string };

export class Truth {
  readonly devices = new Map<string, Posted>();

  /** Notes a report and gives it back with its timestamp. */
  note(report: Report): Posted {
    const posted = { timestamp: stamp(), ...report };
    this.devices.set(report.device_id, posted);
    return posted;
  }

  /** Ids and timestamps of what is in an event, or inside a box; sorted. */
  of(topic: string | Box): string[] {
    const isThere = (report: Posted) =>
      typeof topic !== "string"
        ? isInside(topic, report)
        : topic === `device:${report.device_id}` || (report.topics ?? []).includes(topic);
    return [...this.devices.values()].filter(isThere).map(line).sort();
  }
}

/** What is compared of a position. */
const line = ({ device_id, timestamp, latitude, longitude }: Posted | Position) => `${device_id} ${timestamp} ${latitude} ${longitude}`;

/** The same of what a subscription has. */
export const lines = (devices: ReadonlyMap<string, Position>): string[] => [...devices.values()].map(line).sort();
