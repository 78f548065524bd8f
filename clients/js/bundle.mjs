// How the client is bundled: here, for its tests, and for the web port of the server (ui/build.mjs).

/**
 * Names of the client's parts among themselves, which no user of it sees: they are made short. None may be a name of the platform, of
 * the wire, or of the API (`test/runtimes.test.ts` looks at the latter; all tests run with short names).
 */
export const internal = new RegExp(`^(${[
  "asked", "askAgain", "came", "changed", "channel", "channels", "held", "learn", "leave", "lost", "messageBytes", "opened", "probe", "retry",
  "sent", "service", "subscriptions", "sweep", "taken", "wanted",
].join("|")})$`);

/** Options of esbuild. */
export const bundling = {
  bundle: true, minify: true, mangleProps: internal, logLevel: "warning",
  // Browsers of the last two years; Node, Deno and Bun are newer.
  target: ["chrome128", "firefox128", "safari18"],
};

/** What it may be the most, in bytes, gzipped: pages on phones load it. */
export const MOST = 5_550;
