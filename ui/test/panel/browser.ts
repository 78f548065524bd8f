// A browser with the panel's page: built, served with the policy of the real server, in Debian's Chromium.

import { build } from "esbuild";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { config, serve } from "../../serve.mjs";
import type { TestPage } from "./page.ts";

type Server = Awaited<ReturnType<typeof serve>>;

declare global {
  interface Window {
    page: TestPage;
  }
}

const ui = join(import.meta.dirname, "../..");

/** Every page that was opened, with what went wrong on it. */
interface Opened {
  readonly page: Page;
  readonly faults: string[];
}

export class PanelBrowser {
  readonly #opened: Opened[] = [];
  readonly #server: Server;
  readonly browser: Browser;

  private constructor(server: Server, browser: Browser) {
    this.#server = server;
    this.browser = browser;
  }

  static async start(): Promise<PanelBrowser> {
    const files = await bundle();
    const server = await serve((name) => files.get(name));
    return new PanelBrowser(server, await chromium.launch({
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--host-resolver-rules=MAP panel.test 127.0.0.1"],
    }));
  }

  /** The address of the page. `host`: 127.0.0.1 counts as secure, another name does not. */
  url(query: string, host = "127.0.0.1"): string {
    return `http://${host}:${this.#server.port}/?${query}`;
  }

  /** Opens the page, with so many devices. */
  async open(query = "devices=100", options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.browser.newContext({ viewport: { width: 1200, height: 800 }, reducedMotion: "reduce", locale: "en-GB", timezoneId: "UTC", ...options });
    const page = await context.newPage(), faults: string[] = [];
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    page.on("pageerror", (error) => faults.push(String(error)));
    this.#opened.push({ page, faults });
    await page.goto(this.url(query));
    await page.waitForFunction(() => window.page !== undefined);
    return page;
  }

  /** What went wrong on the pages that were opened: errors on the console, breaches of the policy. Closes them. */
  async faults(): Promise<string[]> {
    const all: string[] = [];
    for (const { page, faults } of this.#opened.splice(0)) {
      all.push(...faults, ...(page.isClosed() ? [] : await page.evaluate(() => window.page.violations)));
      await page.context().close();
    }
    return all;
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.#server.close();
  }
}

/** The page's files, by path. */
async function bundle(): Promise<Map<string, string>> {
  const made = await build({
    entryPoints: { page: join(import.meta.dirname, "page.ts"), style: join(ui, "src/page.css") }, outdir: "/", bundle: true, format: "esm",
    write: false, logLevel: "warning", target: ["chrome128", "firefox128", "safari18"], loader: { ".svg": "dataurl" },
  });
  const files = new Map(made.outputFiles.map((file) => [file.path.slice(1), file.text]));
  const fill: Record<string, string> = { app: "page.js", css: "style.css", worker: "none.js" };
  const html = await readFile(join(ui, "src/index.html"), "utf8");
  files.set("index.html", html.replace(/\{\{(\w+)\}\}/g, (_, name: string) => fill[name] ?? ""));
  files.set("config.json", config("test", 1));
  files.set("favicon.svg", await readFile(join(ui, "src/favicon.svg"), "utf8"));
  return files;
}
