// Serves the pages that are measured beside the server's own, under the policy that it sends: the page built from the sources, and
// the same fleet drawn by others.

import { build } from "esbuild";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { world } from "../basemap.mjs";
import { files } from "../build.mjs";
import { config, serve } from "../serve.mjs";

const here = import.meta.dirname;
/** Serves at a free port of 127.0.0.1, for a live server at `live`. */
export async function startSite(live, { minify = true } = {}) {
  const all = new Map();
  for (const [name, bytes] of await files({ minify })) all.set(name, bytes);
  for (const [name, bytes] of await peers()) all.set(name, bytes);
  all.set("config.json", config("bench", live));
  for (const [name, bytes] of all) all.set(name, gzipSync(bytes, { level: 6 }));
  return serve((name) => all.get(name), { live: [`ws://127.0.0.1:${live}`], headers: { "content-encoding": "gzip" } });
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
