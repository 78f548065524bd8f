// What tests in a browser need: a page built from the sources, served under the real CSP, and Chromium.

import { chromium } from "playwright-core";
import type { Browser, Page } from "playwright-core";
import { files } from "../build.mjs";
import { config, serve } from "../serve.mjs";

export interface Site {
  readonly url: string;
  /** What else is served: by path, without the slash. */
  readonly more: Map<string, { status?: number; body: string | Buffer }>;
  readonly browser: Browser;
  close(): Promise<void>;
}

/** Builds, serves and launches. */
export async function openSite(program: string, style: string): Promise<Site> {
  const built = await files({ program, style });
  // The page has it loaded, whatever its program is.
  const more: Site["more"] = new Map([["config.json", { body: config("test", 1) }]]);
  const server = await serve((name) => more.get(name) ?? built.get(name));
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium" });
  return {
    url: `http://127.0.0.1:${server.port}/`, more, browser,
    async close() {
      await browser.close();
      await server.close();
    },
  };
}

/** A page whose console errors and failures are collected. */
export async function openPage(site: Site, options: Parameters<Browser["newContext"]>[0] = {}): Promise<{ page: Page; errors: string[]; close(): Promise<void> }> {
  const context = await site.browser.newContext({ viewport: { width: 640, height: 480 }, ...options });
  const page = await context.newPage(), errors: string[] = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(site.url);
  await page.waitForFunction(() => "page" in globalThis);
  return { page, errors, close: () => context.close() };
}
