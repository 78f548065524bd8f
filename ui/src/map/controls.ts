// Controls on the map: zoom and north, scale bar, credits, and the word that the built-in map is coarse.

import type { IControl, MapLibreMap, ScaleControl } from "maplibre-gl";
import type { Units } from "../config.ts";
import { COARSE_ABOVE } from "./style.ts";

/** Says that the built-in map is coarse, where it is. */
class CoarseNote implements IControl {
  readonly #element = document.createElement("div");
  #map: MapLibreMap | undefined;
  #builtIn = false;

  onAdd(map: MapLibreMap): HTMLElement {
    this.#map = map;
    this.#element.className = "maplibregl-ctrl map-coarse";
    this.#element.textContent = "Built-in map: coarse at this zoom";
    map.on("zoom", this.#update);
    this.#update();
    return this.#element;
  }

  onRemove(): void {
    this.#map?.off("zoom", this.#update);
    this.#element.remove();
  }

  setBuiltIn(builtIn: boolean): void {
    this.#builtIn = builtIn;
    this.#update();
  }

  readonly #update = (): void => {
    this.#element.hidden = !this.#builtIn || (this.#map?.getZoom() ?? 0) <= COARSE_ABOVE;
  };
}

export class Controls {
  readonly #scale: ScaleControl;
  readonly #note = new CoarseNote();

  constructor(map: MapLibreMap, library: typeof import("./maplibre.ts"), units: Units) {
    this.#scale = new library.ScaleControl({ maxWidth: 110, unit: units });
    map.addControl(new library.NavigationControl({ visualizePitch: false }), "top-right");
    map.addControl(this.#scale, "bottom-left");
    map.addControl(this.#note, "bottom-left");
    map.addControl(new library.AttributionControl({ compact: true }), "bottom-right");
  }

  setUnits(units: Units): void {
    this.#scale.setUnit(units);
  }

  setBuiltIn(builtIn: boolean): void {
    this.#note.setBuiltIn(builtIn);
  }
}
