// What the tests of the map in Chromium have in common: a page with the map alone, under the real content security policy.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { openPage, openSite } from "./browser.ts";
import type { Site } from "./browser.ts";
import type { Page as Harness } from "./map-page.ts";

declare global {
  /** What map-page.ts puts there. */
  const page: Harness;
}

export let site: Site;
before(async () => void (site = await openSite("test/map-page.ts", "test/map-page.css")));
after(() => site.close());

/** Errors in the console that belong to the test; how the page is opened. */
type Extra = { errors?: RegExp; context?: Parameters<typeof openPage>[1] };

/** A test with a page of its own, which must end without errors in the console and without violations of the policy. */
export function onPage(name: string, body: (tab: Page) => Promise<void>, { errors: expected, context }: Extra = {}): void {
  test(name, async () => {
    const { page: tab, errors, close } = await openPage(site, context);
    try {
      await body(tab);
      assert.deepEqual(errors.filter((error) => !expected?.test(error)), []);
      assert.deepEqual(await tab.evaluate(() => page.violations), []);
    } finally {
      await close();
    }
  });
}

/** The colours of the page at some points: red, green, blue. */
export async function colorsAt(tab: Page, points: { x: number; y: number }[]): Promise<number[][]> {
  const picture = (await tab.screenshot()).toString("base64");
  return tab.evaluate(async ({ picture, points }) => {
    const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(image.width, image.height), brush = canvas.getContext("2d")!;
    brush.drawImage(image, 0, 0);
    return points.map(({ x, y }) => [...brush.getImageData(Math.round(x), Math.round(y), 1, 1).data.slice(0, 3)]);
  }, { picture, points });
}

export const near = (a: number[], b: number[], by = 12) => a.every((value, index) => Math.abs(value - b[index]!) <= by);
/** The map has been painted, and so have the devices. */
export const idle = (tab: Page) => tab.evaluate(async () => {
  if (!page.map.mapLibre.loaded() || page.map.mapLibre.isMoving()) await new Promise((resolve) => page.map.mapLibre.once("idle", resolve));
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
});
/** The colour of devices of no event. */
export const PLAIN = [0x1f, 0x6f, 0xeb];
