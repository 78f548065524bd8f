// Builds dist/: the client as a module, and as one file for a <script> tag (`processor.ProcessorClient`).

import { build } from "esbuild";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const here = import.meta.dirname;
const common = {
  bundle: true, minify: true, logLevel: "warning",
  // Browsers of the last two years; Node, Deno and Bun are newer.
  target: ["chrome128", "firefox128", "safari18"],
};

/** What may be the most, in bytes, gzipped: pages on phones load it. */
const MOST = 5 * 1024;

for (const [name, entry, format] of [
  ["client.mjs", "index.ts", "esm"],
  ["client.js", "script.ts", "iife"],
]) {
  const outfile = join(here, "dist", name);
  await build({ ...common, entryPoints: [join(here, "src", entry)], format, outfile });
  const bytes = await readFile(outfile);
  const small = gzipSync(bytes, { level: 9 }).length;
  console.log(`${name}: ${bytes.length} bytes, ${small} gzipped`);
  if (small > MOST) throw new Error(`${name} is larger than ${MOST} bytes`);
}
