// Free ports for a program that cannot choose one itself, or must have the same when it is started again.

import { once } from "node:events";
import { createServer } from "node:net";

/** Below the ports that the system gives to whoever asks for any (from 32,768 on): none of those takes one before the program starts. */
const FIRST = 20_000, COUNT = 12_000;

/** A port of 127.0.0.1 that nobody listens at. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT), server = createServer().listen(port, "127.0.0.1");
    if (!(await once(server, "listening").then(() => true, () => false))) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

/** Settings of a server that is to have its ports again: those that the system chooses are anybody's as soon as it lets them go. */
export async function keptPorts(): Promise<Record<string, string>> {
  const [live, ops, web] = [await freePort(), await freePort(), await freePort()];
  return { LIVE_WS_PORT: String(live), OPS_PORT: String(ops), WEB_PORT: String(web) };
}
