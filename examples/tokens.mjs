// Gives tokens to those who are logged in, and the page beside it. Run it with the AUTH_JWT_SECRET of the server.
import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
function tokenOf(user) {
  const claims = { sub: user.name, topics: user.topics, exp: Math.floor(Date.now() / 1000) + 600 }; // For ten minutes.
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", process.env.AUTH_JWT_SECRET).update(signed).digest("base64url")}`;
}

createServer(async (request, response) => {
  const user = { name: "ann", topics: ["event:demo"] }; // Here your session says who it is.
  if (!user) response.writeHead(401).end();
  else if (request.method === "POST" && request.url === "/live-token") response.setHeader("cache-control", "no-store").end(tokenOf(user));
  else response.setHeader("content-type", "text/html").end(await readFile(new URL("tokens.html", import.meta.url)));
}).listen(3000, "127.0.0.1");
