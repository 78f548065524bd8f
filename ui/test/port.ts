// A free port for a program that cannot choose one itself.

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
