// JWT: tokens as the server takes them (RFC 7519, signed with HS256), made here.

import { createHmac } from "node:crypto";

/** What the server checks them with, and the settings that say so. */
export const SECRET = "a secret of the tests, 32 bytes and more";
export const AUTH = { AUTH: "jwt", AUTH_JWT_SECRET: SECRET, AUTH_CLOCK_SKEW_MS: "0" };

/** A token with these claims; it lives `ttl` seconds. */
export function jwt(claims: object, ttl = 3_600, secret = SECRET): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  // Not by `Date`, which a test may have set.
  const exp = (performance.timeOrigin + performance.now()) / 1_000 + ttl;
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: "ann", exp, ...claims })}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}
