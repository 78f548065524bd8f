// Serves a page as src/web/ does, under the policy that it sends: for development, tests and the bench, which serve other pages than those
// that the program has in it.

import { createServer } from "node:http";

const TYPES = { html: "text/html", js: "text/javascript", css: "text/css", svg: "image/svg+xml", json: "application/json", png: "image/png" };

/** The page's Content-Security-Policy; `live` are the origins of the live server. */
const policy = (live) =>
  "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; " +
  `connect-src ${["'self'", ...live].join(" ")}; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** `config.json` with the settings' defaults, for a live server at a port. */
export const config = (version, livePort) => JSON.stringify({
  version, live_url: null, live_port: livePort, style: { light: null, dark: null }, pmtiles: null,
  stale_after_ms: 60_000, lost_after_ms: 600_000, units: "metric",
});

/**
 * Serves what `find` gives for a path without its slash, at a port of 127.0.0.1 (0: any free one): a body, or `{ status, body }`, or
 * undefined for a 404. `headers` are added to each response.
 *
 * @param {(name: string) => any} find
 * @param {{ port?: number, live?: string[], headers?: Record<string, string> }} options
 */
export async function serve(find, { port = 0, live = [], headers = {} } = {}) {
  const server = createServer(async (request, response) => {
    const name = new URL(request.url ?? "/", "http://x").pathname.slice(1) || "index.html";
    const found = await find(name);
    if (found === undefined) return void response.writeHead(404).end();
    const { status = 200, body } = typeof found === "string" || Buffer.isBuffer(found) ? { body: found } : found;
    const type = TYPES[name.split(".").at(-1) ?? ""] ?? "application/octet-stream";
    const all = { "content-type": `${type}; charset=utf-8`, "content-security-policy": policy(live), ...headers };
    // Readers of PMTiles ask for parts of the file.
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    if (!range || status !== 200) return void response.writeHead(status, all).end(body);
    const bytes = Buffer.from(body), from = Number(range[1]), part = bytes.subarray(from, Number(range[2]) + 1), to = from + part.length - 1;
    response.writeHead(206, { ...all, "content-range": `bytes ${from}-${to}/${bytes.length}` }).end(part);
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(undefined)));
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
