// The worker's program: a feed, whose port is the worker itself.

import { serveFeed } from "./feed.ts";
import type { Command, Port, Report } from "./messages.ts";

const port = globalThis as unknown as Port<Report, Command>;

// A worker sees neither that the page is shown again nor that it goes on; the client listens for it here.
serveFeed(port, () => void dispatchEvent(new Event("pageshow")));
