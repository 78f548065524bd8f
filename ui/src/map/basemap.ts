// Basemap: what is under the devices: the operator's style, the operator's PMTiles file, or the built-in map.

import type { StyleSpecification } from "@maplibre/maplibre-gl-style-spec";
import type { ErrorEvent, GeoJSONSource, MapLibreMap } from "maplibre-gl";
import type { Config } from "../config.ts";
import { Graticule } from "./graticule.ts";
import type { Camera } from "./projection.ts";
import { blank, builtIn } from "./style.ts";

type Library = typeof import("./maplibre.ts");

/** The operator's style must be there within so many ms. */
const PATIENCE = 15_000;

export interface BasemapOptions {
  readonly library: Library;
  readonly config: Config;
  /** The URL of the built-in map's data. */
  readonly world: string;
  /** Something for people to know; undefined takes it back. */
  readonly notice: (text: string | undefined) => void;
  /** Whether the built-in map is shown. */
  readonly shown: (builtIn: boolean) => void;
}

export class Basemap {
  readonly #options: BasemapOptions;
  readonly #map: MapLibreMap;
  readonly #graticule = new Graticule();
  #dark: boolean;
  /** What is being shown: tells late answers from current ones. */
  #turn = 0;
  /** The operator's map is shown; undefined: the built-in one. */
  #theirs: Shown | undefined;

  /** The style to make a map with, before there is a `Basemap`. */
  static first(config: Config, world: string, dark: boolean): StyleSpecification {
    return operators(config, dark) === undefined ? builtIn(world, dark, new Graticule().lines) : blank(dark);
  }

  /** The view has changed. */
  see(camera: Camera): void {
    if (this.#theirs === undefined && this.#graticule.see(camera)) {
      this.#map.getSource<GeoJSONSource>("graticule")?.setData(this.#graticule.lines);
    }
  }

  constructor(map: MapLibreMap, dark: boolean, options: BasemapOptions) {
    this.#map = map;
    this.#dark = dark;
    this.#options = options;
    map.on("error", (event) => this.#failed(event));
    map.on("style.load", () => {
      if (this.#theirs) this.#theirs.styled = true;
    });
    map.on("sourcedata", ({ tile }) => {
      // A vector tile that is not there counts as one without anything in it.
      if (this.#theirs && tile?.state === "loaded" && (tile.latestFeatureIndex || tile.texture)) this.#theirs.seen = true;
    });
    map.on("sourcedataloading", ({ tile }) => {
      if (this.#theirs && tile && !this.#theirs.asked) this.#watch(this.#theirs);
    });
    const theirs = operators(options.config, dark);
    if (theirs === undefined) options.shown(true);
    else void this.#load(theirs);
  }

  setDark(dark: boolean): void {
    if (dark === this.#dark) return;
    this.#dark = dark;
    const theirs = operators(this.#options.config, dark);
    if (theirs === undefined) this.#showBuiltIn();
    else if (this.#theirs?.what !== keyOf(theirs, dark)) void this.#load(theirs);
  }

  async #load(theirs: Theirs): Promise<void> {
    const turn = ++this.#turn, dark = this.#dark;
    // The built-in map, if that is what is shown, takes on the new colours meanwhile.
    if (this.#theirs === undefined && turn > 1) this.#map.setStyle(builtIn(this.#options.world, dark, this.#graticule.lines));
    try {
      const style = await this.#styleOf(theirs, dark);
      if (turn !== this.#turn) return;
      this.#theirs = { what: keyOf(theirs, dark), styled: false, asked: false, seen: false };
      this.#options.notice(undefined);
      this.#options.shown(false);
      this.#map.setStyle(style, { diff: false });
    } catch (error) {
      if (turn === this.#turn) this.#fallBack(error);
    }
  }

  async #styleOf(theirs: Theirs, dark: boolean): Promise<StyleSpecification> {
    if (theirs.kind === "pmtiles") {
      const { pmtilesStyle } = await import("./pmtiles.ts");
      return pmtilesStyle(this.#options.library, new URL(theirs.url, location.href).href, dark);
    }
    const response = await fetch(theirs.url, { signal: AbortSignal.timeout(PATIENCE) });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return flat((await response.json()) as StyleSpecification, response.url);
  }

  #failed(event: ErrorEvent & { sourceId?: string }): void {
    const theirs = this.#theirs;
    if (theirs === undefined) {
      if (event.sourceId === "world") this.#options.notice(`The base map could not be loaded: ${event.error.message}`);
      // MapLibre tells only those who ask; without this listener it would write to the console.
      return console.warn("base map:", event.error.message);
    }
    // A sprite or glyphs that are missing leave a map that is good enough.
    const resource = "url" in event.error && event.sourceId === undefined;
    if (theirs.seen || resource) this.#options.notice(`Parts of the base map could not be loaded: ${event.error.message}`);
    else if (event.sourceId !== undefined || !theirs.styled) this.#fallBack(event.error);
  }

  /** MapLibre says nothing of tiles that are not there. So it is looked up whether any was, once all have been asked for. */
  #watch(theirs: Shown): void {
    theirs.asked = true;
    const timer = setInterval(() => {
      if (theirs !== this.#theirs || theirs.seen) return clearInterval(timer);
      if (!this.#map.areTilesLoaded()) return;
      clearInterval(timer);
      this.#fallBack(new Error("it has no tiles here"));
    }, 1000);
  }

  #fallBack(error: unknown): void {
    this.#showBuiltIn();
    const why = error instanceof Error ? error.message : String(error);
    this.#options.notice(`The base map could not be loaded (${why}). This is the built-in one.`);
  }

  #showBuiltIn(): void {
    this.#turn++;
    this.#theirs = undefined;
    this.#options.notice(undefined);
    this.#options.shown(true);
    this.#map.setStyle(builtIn(this.#options.world, this.#dark, this.#graticule.lines));
  }
}

/** What is known of the operator's map while it is shown. */
interface Shown {
  readonly what: string;
  /** MapLibre has taken the style. */
  styled: boolean;
  /** It has asked for tiles. */
  asked: boolean;
  /** Some tile was there. */
  seen: boolean;
}

interface Theirs {
  readonly kind: "style" | "pmtiles";
  readonly url: string;
}

/** What the operator wants to be shown; undefined: nothing of their own. A style for one mode only serves both. */
function operators(config: Config, dark: boolean): Theirs | undefined {
  const style = dark ? config.style.dark ?? config.style.light : config.style.light ?? config.style.dark;
  if (style !== null) return { kind: "style", url: style };
  return config.pmtiles === null ? undefined : { kind: "pmtiles", url: config.pmtiles };
}

/** What tells one map of the operator from another. */
function keyOf(theirs: Theirs, dark: boolean): string {
  return theirs.kind === "style" ? theirs.url : `${theirs.url} ${dark}`;
}

/** A style without what the devices' layer does not follow (globe, terrain, pitch), its addresses made absolute. */
function flat(style: StyleSpecification, base: string): StyleSpecification {
  const { terrain: _terrain, sky: _sky, center: _center, zoom: _zoom, bearing: _bearing, pitch: _pitch, ...rest } = style;
  const sources = Object.fromEntries(Object.entries(rest.sources ?? {}).map(([name, source]) => {
    const copy = { ...source } as typeof source & { url?: string; tiles?: string[]; data?: unknown };
    if (typeof copy.url === "string") copy.url = absolute(copy.url, base);
    if (Array.isArray(copy.tiles)) copy.tiles = copy.tiles.map((tile) => absolute(tile, base));
    if (typeof copy.data === "string") copy.data = absolute(copy.data, base);
    return [name, copy];
  })) as StyleSpecification["sources"];
  const out: StyleSpecification = { ...rest, sources, projection: { type: "mercator" } };
  if (typeof rest.sprite === "string") out.sprite = absolute(rest.sprite, base);
  if (rest.glyphs !== undefined) out.glyphs = absolute(rest.glyphs, base);
  return out;
}

/** An address as seen from the style's; `{z}` and the like stay as they are. */
function absolute(address: string, base: string): string {
  if (/^[a-z][a-z0-9+.-]*:/i.test(address)) return address;
  return new URL(address, base).href.replaceAll("%7B", "{").replaceAll("%7D", "}");
}
