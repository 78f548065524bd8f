// What tests in a browser need: a page built from the sources, served under the real CSP, and Chromium.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { chromium } from "playwright-core";
import type { Browser, Page } from "playwright-core";
import { files } from "../build.mjs";

const types: Record<string, string> = { html: "text/html", js: "text/javascript", css: "text/css", svg: "image/svg+xml", json: "application/json" };

/** As src/web/ sends it. */
const policy =
  "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; " +
  "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

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
  const more: Site["more"] = new Map();
  const server = createServer((request, response) => {
    const name = new URL(request.url ?? "/", "http://x").pathname.slice(1) || "index.html";
    const extra = more.get(name), body = extra?.body ?? built.get(name);
    if (body === undefined) return response.writeHead(404).end();
    const type = `${types[name.split(".").at(-1) ?? ""] ?? "application/octet-stream"}; charset=utf-8`;
    const headers = { "content-type": type, "content-security-policy": policy };
    // Readers of PMTiles ask for parts of the file.
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    if (!range || extra?.status !== undefined) return response.writeHead(extra?.status ?? 200, headers).end(body);
    const bytes = Buffer.from(body), part = bytes.subarray(Number(range[1]), Number(range[2]) + 1);
    response.writeHead(206, { ...headers, "content-range": `bytes ${range[1]}-${Number(range[1]) + part.length - 1}/${bytes.length}` }).end(part);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium" });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, more, browser,
    async close() {
      await browser.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
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
