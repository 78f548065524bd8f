// MadeUpFleet: devices that a test makes and moves, in place of those of a server.

import type { Position } from "../../../clients/js/src/index.ts";
import type { Device } from "../../src/device.ts";
import { Emitter } from "../../src/emitter.ts";
import { IDLE } from "../../src/fleet.ts";
import type { Fleet, FleetEvents, Status } from "../../src/fleet.ts";

const CONNECTED: Status = { ...IDLE, connection: "connected" };

export class MadeUpFleet extends Emitter<FleetEvents> implements Fleet {
  readonly devices = new Map<string, Device>();
  status: Status = CONNECTED;
  heard: number | undefined;

  now(): number {
    return Date.now();
  }

  /** Says how the connection is. */
  say(status: Partial<Status>): void {
    this.status = { ...CONNECTED, ...status };
    this.emit("status", this.status);
  }

  /** `count` devices on a spiral around a place, `device-1` at its middle; some stand, some are old, one in ten has a name. */
  fill(count: number, [longitude, latitude] = [13.4, 52.52]): void {
    const now = this.now();
    for (let index = 0; index < count; index++) {
      const angle = index * 2.4, far = 0.0004 * Math.sqrt(index) * Math.min(1, 400 / Math.sqrt(count));
      this.set({
        device_id: `device-${index + 1}`,
        timestamp: new Date(now - age(index)).toISOString(),
        longitude: longitude! + far * Math.cos(angle) * 1.6, latitude: latitude! + far * Math.sin(angle),
        altitude: 34 + (index % 50), accuracy: 3 + (index % 12), heading: (index * 37) % 360, speed: index % 4 === 3 ? 0 : (index % 30) + 0.4,
        ...(index % 10 === 0 ? { attributes: { name: `Courier ${index / 10 + 1}`, battery: 100 - (index % 90) } } : {}),
      }, index % 3 === 0 ? ["rally-42"] : [], false);
    }
    this.change(this.devices.values());
  }

  /** A device is somewhere. */
  set(position: Position, events: readonly string[] = [], tell = true): Device {
    const known = this.devices.get(position.device_id);
    const fix = { position, at: Math.min(Date.parse(position.timestamp), this.now()), came: performance.now() };
    const device: Device = known ?? { id: position.device_id, fix, before: undefined, events: new Set(events) };
    if (known) {
      known.before = known.fix;
      known.fix = fix;
    }
    this.devices.set(device.id, device);
    this.heard = fix.came;
    if (tell) this.change([device]);
    return device;
  }

  /** Every device moves a little, in `parts` parts, as a fleet that hears from each once a second. */
  move(part: number, parts: number): void {
    const changed: Device[] = [], now = this.now(), came = performance.now(), timestamp = new Date(now).toISOString();
    let index = 0;
    for (const device of this.devices.values()) {
      if (index++ % parts !== part) continue;
      const { position } = device.fix;
      device.before = device.fix;
      device.fix = { position: { ...position, timestamp, longitude: position.longitude + 1e-5 }, at: now, came };
      changed.push(device);
    }
    this.heard = came;
    this.emit("change", { changed, gone: [] });
  }

  remove(id: string): void {
    this.devices.delete(id);
    this.emit("change", { changed: [], gone: [id] });
  }

  change(devices: Iterable<Device>): void {
    this.emit("change", { changed: [...devices], gone: [] });
  }
}

/** How old devices are, ms: most a few seconds, some minutes, some hours. */
function age(index: number): number {
  if (index % 17 === 16) return 3_600_000 * (1 + (index % 5));
  return index % 9 === 8 ? 90_000 + 1000 * (index % 60) : 700 * (index % 40);
}
