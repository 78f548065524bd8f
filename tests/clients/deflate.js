// A client that compresses all it sends (permessage-deflate), by Node's `ws`.
//
// Usage: node deflate.js URL OPTIONS MESSAGE..., with OPTIONS as JSON, see `perMessageDeflate` in the manual of `ws`.
// Prints what the server agreed to, then each message that comes, and ends when each of its own got one.

const WebSocket = require("ws");

const [url, options, ...messages] = process.argv.slice(2);
const socket = new WebSocket(url, { perMessageDeflate: { threshold: 0, ...JSON.parse(options) } });
let left = messages.length;
socket.on("upgrade", (response) => console.log(response.headers["sec-websocket-extensions"]));
socket.on("open", () => messages.forEach((message) => socket.send(message)));
socket.on("message", (data) => {
  console.log(data.toString());
  if (--left === 0) socket.close();
});
socket.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
