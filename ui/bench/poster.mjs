// A process of its own that posts a fleet, each device once a second, spread over it: node poster.mjs <URL> <devices>

import { Agent, request } from "node:http";
import { Moving } from "./fleet.mjs";

/** Positions of one post. */
const PER_POST = 2_500;

const [url, count] = [process.argv[2], Number(process.argv[3])];
const agent = new Agent({ keepAlive: true, maxSockets: 4 }), fleet = new Moving(count);
const posts = Math.max(4, Math.ceil(count / PER_POST)), size = Math.ceil(count / posts);
let under = 0, skipped = 0;

function post(body) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", agent, headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) } }, (response) => {
      response.resume().on("end", () => (response.statusCode === 200 ? resolve() : reject(new Error(`HTTP ${response.statusCode}`))));
    });
    sent.on("error", reject).end(body);
  });
}

// All of them are known before the page asks.
for (let first = 0; first < count; first += size) await post(fleet.move(first, size, 1));
console.log("posted");

let turn = 0, due = performance.now();
function next() {
  due += 1000 / posts;
  // A server that does not keep up is not sent more than it can take, and what was not sent is told.
  if (under < 8) {
    under++;
    post(fleet.move((turn % posts) * size, size, 1)).then(() => under--, fail);
  } else skipped += size;
  turn++;
  if (turn % (posts * 5) === 0 && skipped > 0) {
    console.log(`skipped ${skipped}`);
    skipped = 0;
  }
  setTimeout(next, Math.max(0, due - performance.now()));
}
next();

function fail(error) {
  console.error(`poster: ${error.message}`);
  process.exit(1);
}
process.on("disconnect", () => process.exit());
