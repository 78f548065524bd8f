// Server: the real program on ports of its own, with a store of its own.

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** What is posted. */
export interface Report {
  readonly device_id: string;
  readonly latitude: number;
  readonly longitude: number;
  readonly timestamp?: string;
  readonly topics?: readonly string[];
  readonly [field: string]: unknown;
}

/** Servers that run: none is left behind when whoever started them ends. */
const running = new Set<ChildProcess>();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** Whole numbers of ms that only grow, so that no position is late. */
let last = 0;
export const stamp = (): string => new Date((last = Math.max(last + 1, Date.now()))).toISOString();

export class Server implements AsyncDisposable {
  readonly #folder: string;
  readonly #env: Record<string, string>;
  #child: ChildProcess | undefined;
  /** Ports of WebSockets, of posts and of the map page. */
  live = 0;
  ops = 0;
  web = 0;

  private constructor(folder: string, env: Record<string, string>) {
    this.#folder = folder;
    this.#env = env;
  }

  static async start(env: Record<string, string> = {}): Promise<Server> {
    const server = new Server(await mkdtemp(join(tmpdir(), "processor-")), env);
    await server.run();
    return server;
  }

  /** Starts it, on the ports that it had, if it had any. */
  async run(): Promise<void> {
    const program = process.env["PROCESSOR"] ?? "target/debug/processor";
    const child = spawn(program, [], {
      cwd: this.#folder,
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        PATH: process.env["PATH"],
        DATABASE_URL: `sqlite://${join(this.#folder, "store.db")}`,
        LIVE_WS_HOST: "127.0.0.1", LIVE_WS_PORT: String(this.live), OPS_PORT: String(this.ops), WEB_PORT: String(this.web),
        LIVE_WS_MAX_CONNECTIONS_PER_ADDRESS: "10000",
        ...this.#env,
      },
    });
    this.#child = child;
    running.add(child);
    child.on("exit", () => running.delete(child));
    const lines = createInterface({ input: child.stderr! });
    const log: string[] = [];
    for await (const line of lines) {
      log.push(line);
      const port = (what: string) => new RegExp(`${what} ready on .*:(\\d+)`).exec(line)?.[1];
      this.ops = Number(port("ops server") ?? this.ops);
      this.web = Number(/map on http:\/\/.*:(\d+)\//.exec(line)?.[1] ?? this.web);
      const live = port("live server");
      if (live) {
        this.live = Number(live);
        // What it says later must be read, or it would wait.
        child.stderr!.resume();
        return;
      }
    }
    throw new Error(`${program} did not start:\n${log.join("\n")}`);
  }

  get url(): string {
    return `ws://127.0.0.1:${this.live}/`;
  }

  async post(...reports: Report[]): Promise<void> {
    const body = JSON.stringify(reports.map((report) => ({ timestamp: stamp(), ...report })));
    const response = await fetch(`http://127.0.0.1:${this.ops}/positions`, { method: "POST", body });
    if (response.status !== 200) throw new Error(`post: ${response.status} ${await response.text()}`);
  }

  /** Takes access away: of a subject, of a token, or to a topic. */
  async revoke(what: { subject?: string; token_id?: string; topic?: string }): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${this.ops}/revoke`, { method: "POST", body: JSON.stringify(what) });
    if (!response.ok) throw new Error(`revoke: ${response.status} ${await response.text()}`);
  }

  /** A counter of the metrics page, all of its lines together that hold `label`. */
  async counter(name: string, label = ""): Promise<number> {
    const page = await (await fetch(`http://127.0.0.1:${this.ops}/metrics`)).text();
    const lines = page.split("\n").filter((line) => line.startsWith(name) && line.includes(label));
    if (lines.length === 0) throw new Error(`no metric ${name} ${label}`);
    return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  /** Ends it and waits for that. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
    await rm(this.#folder, { recursive: true, force: true });
  }
}
