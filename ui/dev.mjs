// Serves the page from its sources for development, on http://127.0.0.1:8090/, beside a processor on its usual ports.
// The real server of the page is src/web/. Arguments: [port of the page] [port of the live server]

import { createServer } from "node:http";
import { files } from "./build.mjs";

const [port = "8090", live = "8081"] = process.argv.slice(2);
const config = {
  version: "development", live_url: null, live_port: Number(live), style: { light: null, dark: null }, pmtiles: null,
  stale_after_ms: 60_000, lost_after_ms: 600_000, units: "metric",
};
const types = { html: "text/html", js: "text/javascript", css: "text/css", svg: "image/svg+xml", json: "application/json" };

createServer(async (request, response) => {
  const name = new URL(request.url, "http://x").pathname.slice(1) || "index.html";
  if (name === "config.json") return response.end(JSON.stringify(config));
  // Built anew for the page itself, so that a reload shows what has changed.
  if (name === "index.html" || !built) built = await files();
  const found = built.get(name);
  if (!found) return response.writeHead(404).end();
  const type = types[name.split(".").at(-1)] ?? "application/octet-stream";
  response.writeHead(200, {
    "content-type": `${type}; charset=utf-8`,
    "content-security-policy": "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; " +
      `img-src 'self' data: blob:; font-src 'self'; connect-src 'self' ws://127.0.0.1:${live} ws://localhost:${live}; ` +
      "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  }).end(found);
}).listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/`));
let built;
