// Context: what all parts of the panel share.

import type { Units } from "../config.ts";
import type { Device } from "../device.ts";
import type { PanelOptions } from "./types.ts";

export interface Context extends PanelOptions {
  /** Aborted when the panel is closed: pass it to `addEventListener`, and listen for what else has to end. */
  readonly signal: AbortSignal;
  units(): Units;
  /** Selects a device, and goes to it on the map where that is asked for or it is not in view. */
  select(device: Device, show: boolean): void;
  /** Says something to screen readers, once. */
  announce(text: string): void;
}
