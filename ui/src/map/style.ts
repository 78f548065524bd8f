// The built-in base map as a MapLibre style: Natural Earth, light and dark, without glyphs, sprites or tiles from elsewhere.

import type { LayerSpecification, StyleSpecification } from "@maplibre/maplibre-gl-style-spec";
import type { Lines } from "./graticule.ts";

/** Above this zoom the built-in map shows less than people expect: its coasts are off by a few kilometres. */
export const COARSE_ABOVE = 7;

interface Palette {
  readonly water: string;
  readonly land: string;
  readonly border: string;
  readonly graticule: string;
  readonly label: string;
}

const LIGHT: Palette = { water: "#cfdde6", land: "#f5f4ef", border: "#b5b1a8", graticule: "#c9d0d2", label: "#565b62" };
const DARK: Palette = { water: "#11181f", land: "#1e2730", border: "#46525e", graticule: "#2a343e", label: "#9aa7b4" };

/** `world`: the URL of what basemap.mjs makes. */
export function builtIn(world: string, dark: boolean, lines: Lines): StyleSpecification {
  return {
    version: 8,
    // The dark map is there at once.
    transition: { duration: 0, delay: 0 },
    projection: { type: "mercator" },
    sources: {
      world: { type: "geojson", data: world, maxzoom: COARSE_ABOVE, attribution: '<a href="https://www.naturalearthdata.com/" target="_blank" rel="noopener">Natural Earth</a>' },
      graticule: { type: "geojson", data: lines, tolerance: 0 },
    },
    layers: layers(dark ? DARK : LIGHT),
  };
}

/** What is shown until a style of the operator has been loaded: the colour of the sea. */
export function blank(dark: boolean): StyleSpecification {
  return { version: 8, sources: {}, layers: [{ id: "water", type: "background", paint: { "background-color": (dark ? DARK : LIGHT).water } }] };
}

function layers(palette: Palette): LayerSpecification[] {
  return [
    { id: "water", type: "background", paint: { "background-color": palette.water } },
    { id: "land", type: "fill", source: "world", filter: ["==", ["get", "kind"], "land"], paint: { "fill-color": palette.land } },
    { id: "graticule", type: "line", source: "graticule", paint: { "line-color": palette.graticule, "line-width": 0.6 } },
    {
      id: "borders", type: "line", source: "world", filter: ["==", ["get", "kind"], "border"],
      paint: { "line-color": palette.border, "line-width": ["interpolate", ["linear"], ["zoom"], 1, 0.5, 6, 1.2, 10, 2] },
    },
    {
      id: "countries", type: "symbol", source: "world",
      // `rank`: the zoom from which on there is room for the name.
      filter: ["all", ["==", ["get", "kind"], "name"], ["<=", ["get", "rank"], ["zoom"]]],
      layout: {
        // No glyphs are given, so MapLibre draws the letters from the fonts of the machine.
        "text-field": ["get", "name"], "text-font": ["system-ui"], "text-max-width": 7, "symbol-sort-key": ["get", "rank"],
        "text-size": ["interpolate", ["linear"], ["zoom"], 1, 10, 6, 15],
      },
      paint: { "text-color": palette.label, "text-halo-color": palette.land, "text-halo-width": 1.2 },
    },
  ];
}
