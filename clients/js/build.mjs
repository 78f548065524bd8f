// Builds dist/: the client as a module, and as one file for a <script> tag (`processor.ProcessorClient`).

import { MOST, bundling } from "./bundle.mjs";
import { build } from "esbuild";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const here = import.meta.dirname;
for (const [name, entry, format] of [
  ["client.mjs", "index.ts", "esm"],
  ["client.js", "script.ts", "iife"],
]) {
  const outfile = join(here, "dist", name);
  await build({ ...bundling, entryPoints: [join(here, "src", entry)], format, outfile });
  const bytes = await readFile(outfile);
  const small = gzipSync(bytes, { level: 9 }).length;
  console.log(`${name}: ${bytes.length} bytes, ${small} gzipped`);
  if (small > MOST) throw new Error(`${name} is larger than ${MOST} bytes`);
}
