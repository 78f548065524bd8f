// Serves the pages that are measured beside the server's own, under the policy that it sends: the page built from the sources, and
// the same fleet drawn by others.

import { build } from "esbuild";
import { createServer } from "node:http";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { world } from "../basemap.mjs";
import { files } from "../build.mjs";

const here = import.meta.dirname;
const types = { html: "text/html", js: "text/javascript", css: "text/css", svg: "image/svg+xml", json: "application/json", png: "image/png" };

/** Serves at a free port of 127.0.0.1, for a live server at `live`. */
export async function startSite(live, { minify = true } = {}) {
  const all = new Map();
  for (const [name, bytes] of await files({ minify })) all.set(name, bytes);
  for (const [name, bytes] of await peers()) all.set(name, bytes);
  all.set("config.json", Buffer.from(JSON.stringify({
    version: "bench", live_url: null, live_port: live, style: { light: null, dark: null }, pmtiles: null,
    stale_after_ms: 60_000, lost_after_ms: 600_000, units: "metric",
  })));
  for (const [name, bytes] of all) all.set(name, gzipSync(bytes, { level: 6 }));
  const server = createServer((request, response) => {
    const name = new URL(request.url, "http://x").pathname.slice(1) || "index.html", body = all.get(name);
    if (!body) return response.writeHead(404).end();
    response.writeHead(200, {
      "content-type": `${types[name.split(".").at(-1)] ?? "application/octet-stream"}; charset=utf-8`, "content-encoding": "gzip",
      "content-security-policy": "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
        `font-src 'self'; connect-src 'self' ws://127.0.0.1:${live}; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    }).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: server.address().port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Pages that show the fleet with MapLibre alone and with Leaflet, by the same client. */
async function peers() {
  const bundle = await build({
    entryPoints: {
      geojson: join(here, "peers/geojson.js"), leaflet: join(here, "peers/leaflet.js"),
      "bench-worker": join(here, "../node_modules/maplibre-gl/dist/maplibre-gl-worker.mjs"),
    },
    outdir: join(here, "built"), bundle: true, format: "esm", minify: true, target: "chrome128", write: false,
    loader: { ".png": "dataurl" }, legalComments: "none", logLevel: "warning",
  });
  const out = new Map(bundle.outputFiles.map(({ path, contents }) => [basename(path), Buffer.from(contents)]));
  out.set("bench-world.json", Buffer.from(await world()));
  for (const name of ["geojson", "leaflet"]) {
    out.set(`${name}.html`, Buffer.from(`<!doctype html><html lang="en"><meta charset="utf-8"><title>${name}</title><link rel="icon" href="favicon.svg">` +
      `<link rel="stylesheet" href="${name}.css"><script type="module" src="${name}.js"></script><body><main id="map"></main></html>`));
  }
  return out;
}
