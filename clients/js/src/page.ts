// When a page or its network comes back, in browsers.

/**
 * Calls `wake` when the network is back, or the page is: seen again, shown from the cache of pages, thawed. Returns what stops that.
 * Elsewhere nothing of it happens.
 */
export function onWake(wake: () => void): () => void {
  const off = new AbortController();
  const { signal } = off;
  const { document } = globalThis;
  for (const name of ["online", "pageshow"]) globalThis.addEventListener?.(name, wake, { signal });
  document?.addEventListener("resume", wake, { signal });
  document?.addEventListener("visibilitychange", () => document.hidden || wake(), { signal });
  return () => off.abort();
}
