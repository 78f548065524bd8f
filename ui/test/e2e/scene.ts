// Scene: the real server, what was posted to it, and pages of its map in Debian's Chromium, each watched for what goes wrong on it.

import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { chromium } from "playwright-core";
import type { Browser, BrowserContextOptions, Frame, Page, Worker } from "playwright-core";
import { Proxy } from "../../../clients/js/test/proxy.ts";
import { Server } from "../../../clients/js/test/server.ts";
import type { Report } from "../../../clients/js/test/server.ts";
import { Truth } from "../../../clients/js/test/truth.ts";
import { until } from "../../../clients/js/test/wait.ts";

/** What the browser itself writes to the console of a page whose server is away. */
export const CONNECTION_ERROR = /^WebSocket connection to 'ws:[^']+' failed/;

/**
 * What the page waits for longest comes ten times as fast: its timers of more than 5 s, such as those by which it asks after 25 s of
 * silence whether the server is there, and gives it 8 s to answer.
 */
export const HURRIED = "{ const later = globalThis.setTimeout; globalThis.setTimeout = (run, ms, ...rest) => later(run, ms > 5000 ? ms / 10 : ms, ...rest); }";

/** To the browser, a program that a test has added something to comes from the internet, and may not connect to this machine. */
const ANYWHERE = "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets";

export interface PageOptions extends BrowserContextOptions {
  /** Errors on the console that the test brings about. */
  readonly expected?: RegExp;
  /** Runs before the page's own program, and before that of its feed. */
  readonly init?: string;
  /** Loaded instead of the server's page. */
  readonly url?: string;
}

/** Errors on the consoles of pages, exceptions, breaches of the policy. */
const faults: string[] = [];
const disposals: (() => Promise<unknown>)[] = [];
let browser: Browser;

/** A browser for a file of tests; after each, everything it has opened is closed, and no page may have complained. */
export function useBrowser(args: string[] = []): void {
  before(async () => {
    const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
    browser = await chromium.launch({ executablePath, args: ["--host-resolver-rules=MAP *.test 127.0.0.1", ANYWHERE, ...args] });
  });
  after(() => browser.close());
  afterEach(async () => {
    for (const dispose of disposals.splice(0).reverse()) await dispose();
    assert.deepEqual(faults.splice(0), [], "errors on the console, exceptions, breaches of the policy");
  });
}

/** Something to be closed when the test is over. */
export function disposeLater(dispose: () => Promise<unknown>): void {
  disposals.push(dispose);
}

/** Opens a page in a context of its own. */
export async function openPage(url: string, { expected, init, ...options }: PageOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 640, height: 480 }, locale: "en-GB", timezoneId: "UTC", ...options });
  disposeLater(() => context.close());
  const note = (fault: string) => expected?.test(fault) || faults.push(fault);
  context.on("console", (message) => message.type() === "error" && note(message.text()));
  context.on("weberror", (error) => note(String(error.error().stack ?? error.error())));
  // A breach that is only reported shows nowhere else.
  await context.addInitScript(() => document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) =>
    console.error(`securitypolicyviolation: ${effectiveDirective} ${blockedURI}`)));
  if (init !== undefined) {
    await context.addInitScript(init);
    await context.route(FEED, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: `${init}\n${await response.text()}` });
    });
  }
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

/** The program of the page's feed, the worker that has the connection. */
const FEED = /\/assets\/feed-\w+\.js$/;

/** The feed of a page. */
export function feedOf(page: Page): Worker {
  const feed = page.workers().find((worker) => FEED.test(worker.url()));
  assert.ok(feed, "the page has a feed");
  return feed;
}

export class Scene {
  readonly server: Server;
  readonly truth = new Truth();
  /** Between the pages and the live server, where the test wants one. */
  readonly #proxy: Proxy | undefined;

  private constructor(server: Server, proxy: Proxy | undefined) {
    this.server = server;
    this.#proxy = proxy;
  }

  static async start(env: Record<string, string> = {}): Promise<Scene> {
    const server = await Server.start(env);
    disposeLater(() => server[Symbol.asyncDispose]());
    return new Scene(server, undefined);
  }

  static async throughProxy(env: Record<string, string> = {}): Promise<Scene> {
    let server: Server | undefined;
    const proxy = await Proxy.start(() => server?.live ?? 0);
    server = await Server.start({ WEB_LIVE_URL: proxy.url, ...env });
    disposeLater(() => server[Symbol.asyncDispose]());
    disposeLater(() => proxy[Symbol.asyncDispose]());
    return new Scene(server, proxy);
  }

  get proxy(): Proxy {
    assert.ok(this.#proxy, "started through a proxy");
    return this.#proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${this.server.web}/`;
  }

  /** Posts positions, and notes them. */
  async post(...reports: Report[]): Promise<void> {
    const noted = reports.map((report) => this.truth.note(report));
    // The longest body that the server takes is 1 MiB.
    for (let first = 0; first < noted.length; first += 2_000) await this.server.post(...noted.slice(first, first + 2_000));
  }

  /** Opens the map page, and waits until it is there. */
  async open(query = "", options: PageOptions = {}): Promise<Page> {
    const page = await openPage(`${options.url ?? this.url}${query}`, options);
    await ready(page);
    return page;
  }
}

export async function ready(page: Page | Frame): Promise<void> {
  await page.waitForFunction(() => window.processorMap !== undefined);
}

/** Waits until the text of what a selector finds is as it should be. */
export async function says(page: Page | Frame, selector: string, pattern: RegExp): Promise<void> {
  let text = "";
  const look = async () => pattern.test((text = (await page.locator(selector).first().innerText({ timeout: 2_000 }).catch(String)).trim()));
  await until(`${selector} to say ${pattern}`, look).catch((error: Error) => assert.fail(`${error.message}; it says ${JSON.stringify(text)}`));
}
