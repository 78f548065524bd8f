// The real server with a store of its own, and the process that posts a fleet to it.

import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Starts `program` with room for so many devices in an area. With `web`, it serves its page too. */
export async function startServer(program, { devices, web }) {
  const folder = await mkdtemp(join(tmpdir(), "processor-bench-"));
  const child = spawn(program, [], {
    cwd: folder, stdio: ["ignore", "ignore", "pipe"],
    env: {
      PATH: process.env.PATH, DATABASE_URL: `sqlite://${join(folder, "store.db")}`,
      LIVE_WS_HOST: "127.0.0.1", LIVE_WS_PORT: "0", OPS_PORT: "0", LIVE_WS_MAX_AREA_DEVICES: String(devices),
      ...(web && { WEB_PORT: "0" }),
    },
  });
  process.on("exit", () => child.kill());
  const ports = await ready(child, web ? ["live", "ops", "map"] : ["live", "ops"]);
  return {
    ...ports,
    /** A counter of the metrics page, all its labels together that hold `label`. */
    async counter(name, label = "") {
      const text = await (await fetch(`http://127.0.0.1:${ports.ops}/metrics`)).text();
      const lines = text.split("\n").filter((line) => line.startsWith(name) && line.includes(label));
      if (lines.length === 0) throw new Error(`no metric ${name} ${label}`);
      return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
    },
    async close() {
      child.kill();
      if (child.exitCode === null) await once(child, "exit");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Reads from the log which ports they are. */
async function ready(child, wanted) {
  const ports = {}, log = [];
  for await (const line of createInterface({ input: child.stderr })) {
    log.push(line);
    const [, name, port] = /(live|ops) server ready on .*:(\d+)/.exec(line) ?? /(map) on http:.*:(\d+)/.exec(line) ?? [];
    if (name) ports[name] = Number(port);
    if (wanted.every((name) => name in ports)) {
      // What it says later must be read, or it would wait.
      child.stderr.resume();
      return ports;
    }
  }
  throw new Error(`the server did not start:\n${log.join("\n")}`);
}

/** Posts a fleet until it is closed; resolves when all devices have been posted once. */
export async function startFleet(server, count) {
  const child = fork(join(import.meta.dirname, "poster.mjs"), [`http://127.0.0.1:${server.ops}/positions`, String(count)], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  let posted, skipped = 0;
  const first = new Promise((resolve, reject) => {
    posted = resolve;
    child.on("exit", (code) => reject(new Error(`the poster ended with ${code}`)));
  });
  first.catch(() => {});
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line === "posted") posted();
    else skipped += Number(line.split(" ")[1]);
  });
  await first;
  return {
    /** Positions that were due and not posted, as the server did not keep up. */
    skipped: () => skipped,
    async close() {
      child.kill();
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}
