// Serves the page from its sources for development, on http://127.0.0.1:8090/, beside a processor on its usual ports.
// The real server of the page is src/web/. Arguments: [port of the page] [port of the live server]

import { files } from "./build.mjs";
import { config, serve } from "./serve.mjs";

const [port = "8090", live = "8081"] = process.argv.slice(2);
let built;

async function find(name) {
  if (name === "config.json") return config("development", Number(live));
  // Built anew for the page itself, so that a reload shows what has changed.
  if (name === "index.html" || !built) built = await files();
  return built.get(name);
}

await serve(find, { port: Number(port), live: [`ws://127.0.0.1:${live}`, `ws://localhost:${live}`] });
console.log(`http://127.0.0.1:${port}/`);
