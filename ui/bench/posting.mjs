// The process that posts a fleet to a server.

import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

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
