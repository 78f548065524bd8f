// Search: which devices a text finds.

import type { Device } from "../device.ts";

/** How well a device fits a text in small letters: 0 is its id, 1 its id or name begins so, 2 holds it, 3 another attribute does. */
function fit(device: Device, text: string): number | undefined {
  const id = device.id.toLowerCase();
  if (id === text) return 0;
  let best = id.startsWith(text) ? 1 : id.includes(text) ? 2 : undefined;
  const attributes = device.fix.position.attributes;
  if (best === 1 || attributes === undefined) return best;
  for (const name in attributes) {
    const value = attributes[name];
    if (typeof value !== "string") continue;
    const at = value.toLowerCase().indexOf(text);
    if (at < 0) continue;
    const fits = name !== "name" ? 3 : at === 0 ? 1 : 2;
    if (best === undefined || fits < best) best = fits;
  }
  return best;
}

/** What is searched for: without blanks around it, in small letters. */
export function searched(text: string): string {
  return text.trim().toLowerCase();
}

/** The devices that a text finds, those that fit best first, otherwise in the order in which they are given. */
export function find(devices: Iterable<Device>, text: string): Device[] {
  const wanted = searched(text);
  const found: Device[][] = [[], [], [], []];
  for (const device of devices) {
    const fits = fit(device, wanted);
    if (fits !== undefined) found[fits]?.push(device);
  }
  return found.flat();
}
