// What the page waits for longest is begun before the rest of its program runs: the feed, and the settings that it connects by.

import { address } from "./address.ts";
import { loadConfig } from "./config.ts";

/** The worker that has the connection (`feed/`); it does nothing until it is told to. */
export const feed = new Worker(address("feed"));

export const settings = loadConfig();
