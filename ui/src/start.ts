// What the page waits for longest is begun before the rest of its program runs: the feed, and the settings that it connects by.

import { address } from "./address.ts";
import { loadConfig } from "./config.ts";

/** The worker that has the connection (`feed/`); it does nothing until it is told to. */
export const feed = new Worker(address("feed"));

/** What went wrong first in the feed, such as that it could not be loaded. */
export const feedFault = new Promise<string>((resolve) => {
  feed.addEventListener("error", ({ message }) => resolve(message || "a part of the page could not be loaded"));
});

export const settings = loadConfig();
