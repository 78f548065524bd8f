// Config: what the server says to the page, `GET config.json`.

/** The operator's settings as far as the page needs them. */
export interface Config {
  readonly version: string;
  /** Where to connect; null: the page's own host, at `live_port`. */
  readonly live_url: string | null;
  readonly live_port: number;
  /** MapLibre styles of the operator; null: the built-in map. */
  readonly style: { readonly light: string | null; readonly dark: string | null };
  /** A PMTiles file of the operator. */
  readonly pmtiles: string | null;
  /** A device fades when nothing has been heard of it for so long, ms. */
  readonly stale_after_ms: number;
  /** It is grey when nothing has been heard of it for so long, ms. */
  readonly lost_after_ms: number;
  readonly units: Units;
}

export type Units = "metric" | "imperial";

/** Asks the server the page came from. Throws if it does not answer as it should. */
export async function loadConfig(): Promise<Config> {
  const response = await fetch("config.json", { cache: "no-cache" });
  if (!response.ok) throw new Error(`config.json: HTTP ${response.status}`);
  return (await response.json()) as Config;
}

/** The URL of the live server, for a page at `page`. */
export function liveUrl(config: Config, page: URL): string {
  if (config.live_url !== null) return config.live_url;
  return `${page.protocol === "https:" ? "wss" : "ws"}://${page.hostname}:${config.live_port}/`;
}
