// A broadcaster on Node `ws`, as a careful user writes it: no compression, no delay, and each message's frame is
// built once and written as it is to every subscriber. Topic and ingest are as in `live/peer.rs`.
//
// Usage: node broadcast.mjs [--echo] [--ping-ms N]
import { createServer } from "node:net";
import { WebSocketServer, Sender } from "ws";

const argument = (name) => process.argv.indexOf(name);
const echo = argument("--echo") > 0;
const pingMs = argument("--ping-ms") > 0 ? Number(process.argv[argument("--ping-ms") + 1]) : 0;

const topics = new Map();
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  backlog: 4096,
  perMessageDeflate: false,
  clientTracking: pingMs > 0,
});

server.on("connection", (client, request) => {
  // `ws` turns Nagle's algorithm off itself.
  const topic = Number(request.url.slice(1)) || 0;
  if (!topics.has(topic)) topics.set(topic, new Set());
  topics.get(topic).add(client);
  client.on("close", () => topics.get(topic).delete(client));
  client.on("error", () => client.terminate());
  if (echo) client.on("message", (data, isBinary) => client.send(data, { binary: isBinary }));
});

const options = { fin: true, opcode: 1, mask: false, readOnly: true, rsv1: false };

function broadcast(topic, payload) {
  const frame = Buffer.concat(Sender.frame(payload, options));
  for (const client of topics.get(topic) ?? []) client._socket.write(frame);
}

const ingest = createServer((socket) => {
  let waiting = Buffer.alloc(0);
  socket.on("data", (data) => {
    waiting = waiting.length > 0 ? Buffer.concat([waiting, data]) : data;
    let at = 0;
    for (;;) {
      // A burst is there as a whole or not at all.
      if (waiting.length < at + 8) break;
      const topic = waiting.readUInt32LE(at);
      const count = waiting.readUInt32LE(at + 4);
      let end = at + 8;
      const payloads = [];
      while (payloads.length < count && waiting.length >= end + 4) {
        const size = waiting.readUInt32LE(end);
        if (waiting.length < end + 4 + size) break;
        payloads.push(waiting.subarray(end + 4, end + 4 + size));
        end += 4 + size;
      }
      if (payloads.length < count) break;
      for (const payload of payloads) broadcast(topic, payload);
      at = end;
    }
    waiting = waiting.subarray(at);
  });
  socket.on("error", () => socket.destroy());
});

if (pingMs > 0) setInterval(() => server.clients.forEach((client) => client.ping()), pingMs);

server.on("listening", () => {
  ingest.listen(0, "127.0.0.1", () => {
    console.error(`ops server ready on 127.0.0.1:${ingest.address().port}`);
    console.error(`live server ready on 127.0.0.1:${server.address().port}`);
  });
});
