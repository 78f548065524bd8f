// openMap: opens the map in its container.

import { address } from "../address.ts";
import { LiveMap } from "./view.ts";
import { Basemap } from "./basemap.ts";
import type { MapOptions } from "./types.ts";

/** This browser has no WebGL2, or has switched it off: no map can be drawn. */
export class NoWebGL extends Error {
  override readonly name = "NoWebGL";
  constructor(options?: ErrorOptions) {
    super("this browser has no WebGL2, which the map is drawn with", options);
  }
}

/**
 * Opens the map. It can be used, and shows devices, before its base map has been loaded. Throws `NoWebGL`, or an error of
 * the network if the map's code cannot be loaded.
 */
export async function openMap(options: MapOptions): Promise<LiveMap> {
  const canvas = document.createElement("canvas");
  canvas.className = "map-devices";
  // What is drawn is said by the list of devices.
  canvas.setAttribute("aria-hidden", "true");
  const gl = canvas.getContext("webgl2", { antialias: false, depth: false, stencil: false });
  if (!gl) throw new NoWebGL();
  const library = await import("./maplibre.ts");
  library.setWorkerUrl(address("worker"));
  const world = address("world");
  const { container, view, config, dark, still } = options;
  let map;
  try {
    map = new library.MapLibreMap({
      container, style: Basemap.first(config, world, dark),
      center: view ? [view.longitude, view.latitude] : [0, 25], zoom: view?.zoom ?? 0.5, bearing: view?.bearing ?? 0,
      // Devices are drawn on a flat map. Above zoom 20 their places would be seen to be whole numbers.
      maxPitch: 0, pitchWithRotate: false, touchPitch: false, maxZoom: 20, attributionControl: false, reduceMotion: still,
      locale: { "Map.Title": "Map: arrow keys move it, plus and minus zoom" },
    });
  } catch (error) {
    throw new NoWebGL({ cause: error });
  }
  return new LiveMap(options, { library, map, canvas, gl, world });
}
