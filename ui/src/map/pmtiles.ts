// A PMTiles file of the operator as a MapLibre style. In a file of its own, as most pages do without.

import type { StyleSpecification } from "@maplibre/maplibre-gl-style-spec";
import { layers, namedFlavor } from "@protomaps/basemaps";
import { PMTiles, Protocol, TileType } from "pmtiles";

let protocol: Protocol | undefined;

/** Reads what is in the file. Throws if it is not there, or of a kind that there is no style for. */
export async function pmtilesStyle(library: typeof import("./maplibre.ts"), url: string, dark: boolean): Promise<StyleSpecification> {
  const file = new PMTiles(url);
  const header = await file.getHeader();
  const metadata = (await file.getMetadata()) as { attribution?: string; vector_layers?: { id: string }[] };
  if (!protocol) {
    protocol = new Protocol();
    library.addProtocol("pmtiles", protocol.tile);
  }
  protocol.add(file);
  const about = {
    url: `pmtiles://${url}`,
    attribution: metadata.attribution ?? '<a href="https://www.openstreetmap.org/copyright" target="_blank" rel="noopener">© OpenStreetMap</a>',
  };
  const base = { version: 8 as const, projection: { type: "mercator" as const }, transition: { duration: 0, delay: 0 } };
  if (header.tileType !== TileType.Mvt) {
    return { ...base, sources: { file: { type: "raster", tileSize: 256, ...about } }, layers: [{ id: "file", type: "raster", source: "file" }] };
  }
  if (!metadata.vector_layers?.some(({ id }) => id === "earth")) throw new Error("the PMTiles file is not of the Protomaps basemap");
  return { ...base, sources: { file: { type: "vector", ...about } }, layers: textOnly(layers("file", namedFlavor(dark ? "dark" : "light"), { lang: "en" })) };
}

/** The layers without icons, which would need a sprite, and with the letters of the machine. */
function textOnly(all: StyleSpecification["layers"]): StyleSpecification["layers"] {
  return all.filter((layer) => layer.type !== "symbol" || layer.layout?.["text-field"] !== undefined).map((layer) => {
    if (layer.type !== "symbol") return layer;
    const { "icon-image": _icon, ...layout } = layer.layout ?? {};
    return { ...layer, layout: { ...layout, "text-font": ["system-ui"] } };
  });
}
