// The visitor's token: in memory, and where the visitor wants that, in the storage of this tab. Never in the URL.

const KEY = "processor-map-token";

/** The token that this tab has kept; undefined if there is none, or no storage. */
export function keptToken(): string | undefined {
  try {
    return sessionStorage.getItem(KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a token for this tab, until it is closed; undefined forgets it. */
export function keepToken(token: string | undefined): void {
  try {
    if (token === undefined) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, token);
  } catch {
    // No storage: it is asked for when the page is loaded again.
  }
}
