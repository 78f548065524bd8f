// The built client in Node, Deno, Bun and Chromium, each with the real server, and cut off once.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { MOST, internal } from "../bundle.mjs";
import { Proxy } from "./proxy.ts";
import { Server } from "./server.ts";

// `test/run` starts the tests here.
const here = process.cwd();
const built = join(here, "dist/client.mjs");

/** A program of `test/runtimes`, whichever machine this is. */
function runtime(scope: string, path: string): string | undefined {
  const folder = join(here, "test/runtimes/node_modules", scope);
  const found = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name, path)).find((file) => existsSync(file)) : undefined;
  return found;
}

describe("the built client", () => {
  before(() => assert.ok(existsSync(built), "npm run build"));

  it(`is at most ${MOST} bytes, compressed`, async () => {
    for (const name of ["client.mjs", "client.js"]) {
      const small = gzipSync(await readFile(join(here, "dist", name)), { level: 9 }).length;
      assert.ok(small <= MOST, `${name}: ${small}`);
    }
  });

  it("has the names that its types have", async () => {
    const types = join(here, "dist/types");
    for (const name of readdirSync(types).filter((name) => /^(client|devices|emitter|subscription|types)\.d\.ts$/.test(name))) {
      for (const [word] of (await readFile(join(types, name), "utf8")).replace(/\/\*.*?\*\/|"[^"]*"/gs, "").matchAll(/\w+/g)) assert.doesNotMatch(word, internal, name);
    }
  });

  const programs: Record<string, [program: string | undefined, ...args: string[]]> = { Node: [process.execPath], Deno: [runtime("@deno", "deno"), "run", "--quiet", "--allow-all"], Bun: [runtime("@oven", "bin/bun")] };
  for (const [name, [program, ...args]] of Object.entries(programs)) {
    it(`works in ${name}`, { skip: program === undefined && `${name} is not to be had for this machine from npm` }, async () => {
      await using server = await Server.start();
      await using proxy = await Proxy.start(() => server.live);
      const here = { latitude: 1, longitude: 2, topics: ["event:smoke"] };
      const child = spawn(program ?? "", [...args, join(process.cwd(), "test/runtimes/smoke.mjs"), built, proxy.url], { stdio: ["ignore", "pipe", "inherit"] });
      const exit = once(child, "exit");
      const said: string[] = [];
      for await (const line of createInterface({ input: child.stdout! })) {
        said.push(line);
        if (line.startsWith("snapshot")) await server.post({ device_id: "s1", ...here });
        if (line === "cut") proxy.cut();
      }
      assert.deepEqual(said, ["snapshot 0", "position s1", "cut", "iterated s1 1", "closed closed"]);
      assert.equal((await exit)[0], 0, "nothing keeps it running");
    });
  }

  it("works in Chromium, from a <script> tag", async () => {
    await using server = await Server.start();
    await server.post({ device_id: "c1", latitude: 1, longitude: 2 });
    const page = `<!doctype html><title>waiting</title><script src="client.js"></script><script>
      const client = new processor.ProcessorClient("ws://127.0.0.1:${server.live}/");
      client.subscribe("device:c1").on("snapshot", ({ positions }) => document.title = "has " + positions[0].device_id);
    </script>`;
    const files: Record<string, string> = { "/": page, "/client.js": await readFile(join(here, "dist/client.js"), "utf8") };
    const web = createServer(({ url = "" }, response) => void response.setHeader("content-type", url === "/" ? "text/html" : "text/javascript").end(files[url]));
    await once(web.listen(0, "127.0.0.1"), "listening");
    const { port } = web.address() as { port: number };
    const { chromium } = await import("playwright-core");
    const browser = await chromium.launch({ executablePath: "/usr/bin/chromium" });
    try {
      const tab = await browser.newPage();
      await tab.goto(`http://127.0.0.1:${port}/`);
      await tab.waitForFunction(() => document.title === "has c1");
    } finally {
      await browser.close();
      web.close();
    }
  });
});
