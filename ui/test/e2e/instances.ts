// Instances: several servers over a PostgreSQL and a Redis of a test's own (Debian's), behind one address.

import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Proxy } from "../../../clients/js/test/proxy.ts";
import { Server } from "../../../clients/js/test/server.ts";
import { freePort, keptPorts } from "../port.ts";
import { disposeLater } from "./scene.ts";

const running = new Set<ChildProcess>();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** Two instances and the address that leads to them. */
export interface Instances {
  readonly servers: readonly [Server, Server];
  /** Where pages connect: whoever comes is led to the instance of this index. */
  to: number;
}

/** Starts two instances with these settings. */
export async function startInstances(env: Record<string, string>): Promise<Instances> {
  const joined = { DATABASE_URL: await postgres(), REDIS_URL: await redis() };
  let instances: Instances | undefined;
  const proxy = await Proxy.start(() => instances?.servers[instances.to]?.live ?? 0);
  disposeLater(() => proxy[Symbol.asyncDispose]());
  const start = async (name: string) => {
    const server = await Server.start({ ...joined, INSTANCE_ID: name, WEB_LIVE_URL: proxy.url, ...(await keptPorts()), ...env });
    disposeLater(() => server[Symbol.asyncDispose]());
    return server;
  };
  return (instances = { servers: [await start("one"), await start("other")], to: 0 });
}

/** A Redis; its URL. */
async function redis(): Promise<string> {
  const port = await freePort(), folder = temporaryFolder();
  await ready(spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], { cwd: folder }), /Ready to accept/);
  return `redis://127.0.0.1:${port}`;
}

/** A PostgreSQL with an empty database; its URL. */
async function postgres(): Promise<string> {
  const newest = readdirSync("/usr/lib/postgresql").sort((a, b) => Number(a) - Number(b)).at(-1);
  const programs = `/usr/lib/postgresql/${newest}/bin`, folder = temporaryFolder(), data = join(folder, "data"), port = await freePort();
  // It refuses to run as root; whoever is root has the user that Debian's package made.
  const asItsUser: string[] = [];
  if (userInfo().uid === 0) {
    const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
    chownSync(folder, id("-u"), id("-g"));
    asItsUser.push("--reuid=postgres", "--regid=postgres", "--clear-groups");
  }
  const program = (name: string, ...args: string[]) => [...asItsUser, "--", join(programs, name), ...args];
  execFileSync("setpriv", program("initdb", "--no-sync", "-A", "trust", "-U", "processor", "--encoding", "UTF8", "-D", data), { cwd: "/", stdio: "ignore" });
  const args = program("postgres", "-D", data, "-p", String(port), "-c", "listen_addresses=127.0.0.1", "-k", folder);
  await ready(spawn("setpriv", args, { cwd: "/" }), /ready to accept connections/);
  return `postgres://processor@127.0.0.1:${port}/postgres`;
}

/** Waits until a server says that it is ready. It ends with the test. */
async function ready(child: ChildProcess, says: RegExp): Promise<void> {
  running.add(child);
  disposeLater(async () => {
    running.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGQUIT");
    setTimeout(() => child.kill("SIGKILL"), 5_000).unref();
    await ended;
  });
  const text: string[] = [];
  await new Promise<void>((resolve, reject) => {
    for (const output of [child.stdout!, child.stderr!]) {
      createInterface({ input: output }).on("line", (line) => {
        text.push(line);
        if (says.test(line)) resolve();
      });
    }
    child.on("exit", () => reject(new Error(`${child.spawnfile} ended:\n${text.join("\n")}`)));
    child.on("error", reject);
  });
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "processor-"));
  disposeLater(async () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
