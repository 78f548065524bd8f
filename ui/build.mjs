// Builds the page into dist/: bundled, minified, named by content, compressed. `--check` builds and compares with what is there.

import { world } from "./basemap.mjs";
import { bundling } from "../clients/js/bundle.mjs";
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { brotliCompressSync, brotliDecompressSync, constants, gunzipSync, gzipSync } from "node:zlib";

const here = import.meta.dirname;
const dist = join(here, "dist");
/** Browsers of the last two years. */
const target = ["chrome128", "firefox128", "safari18"];

/** Every file of the page: its path below dist/, and its bytes. Tests give a program and a style of their own; a profile wants names. */
export async function files({ program = "src/main.ts", style = "src/page.css", minify = true } = {}) {
  const out = new Map();
  const bundle = await build({
    entryPoints: { app: join(here, program), map: join(here, style) },
    outdir: join(here, "dist/assets"), entryNames: "[name]-[hash]", chunkNames: "[name]-[hash]", assetNames: "[name]-[hash]",
    bundle: true, splitting: true, format: "esm", minify, target, write: false, metafile: true,
    legalComments: "linked", loader: { ".svg": "dataurl" }, logLevel: "warning", absWorkingDir: here,
  });
  for (const file of bundle.outputFiles) out.set(relative(dist, file.path), Buffer.from(file.contents));
  const named = (entry) => {
    const found = Object.entries(bundle.metafile.outputs).find(([, output]) => output.entryPoint === entry);
    return relative(dist, join(here, found[0]));
  };
  // MapLibre is wanted as soon as the page's program runs, so the browser is told beforehand.
  const [library] = Object.entries(bundle.metafile.outputs).find(([, output]) => "node_modules/maplibre-gl/dist/maplibre-gl.mjs" in output.inputs);
  // Workers are files of their own, of their own builds: MapLibre's, and that which has the connection.
  const worker = await bundled(join(here, "node_modules/maplibre-gl/dist/maplibre-gl-worker.mjs"), "esm");
  const feedName = put(out, "feed", "js", await bundled(join(here, "src/feed/worker.ts"), "iife", minify));
  const workerName = put(out, "worker", "js", worker), worldName = put(out, "world", "json", Buffer.from(await world()));
  const page = await readFile(join(here, "src/index.html"), "utf8");
  const fill = { app: named(program), css: named(style), maplibre: relative(dist, join(here, library)), feed: feedName, worker: workerName, world: worldName };
  out.set("index.html", Buffer.from(page.replace(/\{\{(\w+)\}\}/g, (_, name) => fill[name])));
  out.set("favicon.svg", await readFile(join(here, "src/favicon.svg")));
  // For other people's pages: the client as one file, for a <script> tag.
  const client = await build({ ...bundling, entryPoints: [join(here, "../clients/js/src/script.ts")], format: "iife", write: false });
  out.set("client.js", Buffer.from(client.outputFiles[0].contents));
  return out;
}

/** Adds a file that is named by its content; returns its name. */
function put(out, name, ending, bytes) {
  const full = `assets/${name}-${createHash("sha256").update(bytes).digest("hex").slice(0, 8)}.${ending}`;
  out.set(full, bytes);
  return full;
}

async function bundled(entry, format, minify = true) {
  const made = await build({
    entryPoints: [entry], bundle: true, format, minify, target, write: false, legalComments: "none", logLevel: "warning",
  });
  return Buffer.from(made.outputFiles[0].contents);
}

async function write(folder, all) {
  for (const [name, bytes] of all) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
    await writeFile(join(folder, `${name}.br`), brotliCompressSync(bytes, { params }));
    await writeFile(join(folder, `${name}.gz`), gzipSync(bytes, { level: 9 }));
  }
}

/** What is in dist/: decompressed, as other versions of Node compress otherwise. */
async function committed() {
  const out = new Map();
  for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name), bytes = await readFile(path);
    out.set(relative(dist, path), entry.name.endsWith(".br") ? brotliDecompressSync(bytes) : gunzipSync(bytes));
  }
  return out;
}

/** Names of what differs between the sources and dist/. */
async function differences(all) {
  const there = await committed();
  const wanted = new Map([...all].flatMap(([name, bytes]) => [[`${name}.br`, bytes], [`${name}.gz`, bytes]]));
  return [...new Set([...there.keys(), ...wanted.keys()])].filter(
    (name) => !there.has(name) || !wanted.has(name) || !there.get(name).equals(wanted.get(name)),
  );
}

/** The page of the documentation that has the sizes. */
const documentation = join(here, "../docs/development.md");

/** What each file weighs, as a table: whole, and as it is sent to nearly everyone. */
function sizes(all) {
  const kilobytes = (bytes) => Math.ceil(bytes.length / 1024);
  // Their names change with what is in them.
  const plain = (name) => name.replace(/^assets\//, "").replace(/-[A-Za-z0-9]{8}(?=\.)/, "");
  const lines = [...all].filter(([, bytes]) => bytes.length >= 1024)
    .map(([name, bytes]) => `| \`${plain(name)}\` | ${kilobytes(bytes)} | ${kilobytes(gzipSync(bytes, { level: 9 }))} |`).sort();
  return ["| file | KB | gzipped |", "|---|---|---|", ...lines].join("\n");
}

function withSizes(text, all) {
  return text.replace(/\| file \| KB \| gzipped \|\n(\|.*\n)*/, () => `${sizes(all)}\n`);
}

async function main() {
  const all = await files();
  if (process.argv.includes("--check")) {
    const wrong = await differences(all);
    const told = await readFile(documentation, "utf8");
    if (told !== withSizes(told, all)) wrong.push("the table of sizes in docs/development.md");
    if (wrong.length > 0) {
      console.error(`ui/dist is not what the sources give (npm run build --prefix ui): ${wrong.join(", ")}`);
      process.exit(1);
    }
    console.log("ui/dist is what the sources give");
  } else {
    await rm(dist, { recursive: true, force: true });
    await write(dist, all);
    await writeFile(documentation, withSizes(await readFile(documentation, "utf8"), all));
    console.log(sizes(all));
  }
}

if (import.meta.main ?? process.argv[1] === import.meta.filename) await main();
