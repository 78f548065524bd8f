// Follow: keeps the view with a device, smoothly.

import type { LngLat, MapLibreMap } from "maplibre-gl";
import { cameraOf, eastward, latitudeOf, longitudeOf, X_UNITS, xOf, Y_UNITS, yOf } from "./projection.ts";
import type { Point } from "./projection.ts";

/** The view catches up with two thirds of what it is behind in so many ms. */
const CATCH_UP = 180;
/** What is nearer than this is there, CSS pixels. */
const THERE = 0.3;
/** What is farther than this is jumped to, CSS pixels. */
const FAR = 3000;

export class Follow {
  readonly #map: MapLibreMap;
  readonly #library: typeof import("./maplibre.ts");
  #on = false;
  #time = 0;
  /** A person is moving the view: it is theirs until `set` says otherwise. */
  #paused = false;
  /** Where the view is to be while a person zooms. */
  #centre: LngLat | undefined;

  constructor(map: MapLibreMap, library: typeof import("./maplibre.ts")) {
    this.#map = map;
    this.#library = library;
  }

  /** It is moving the view right now, in the middle of `step`. */
  jumping = false;

  get on(): boolean {
    return this.#on && !this.#paused;
  }

  set(on: boolean): void {
    this.#on = on;
    this.#paused = false;
    this.#time = 0;
    this.#centre = undefined;
    // While a person zooms, the view stays with the device. Jumping would end what they are doing.
    this.#map.setTransformCameraUpdate(on ? () => (this.on && this.#centre && this.#map.isZooming() ? { center: this.#centre } : {}) : null);
  }

  pause(): void {
    this.#paused = true;
  }

  /** One frame: the device is drawn at `place` (units). Returns whether there is more to do. */
  step(place: Point, time: number, still: boolean): boolean {
    const { lng, lat } = this.#map.getCenter(), x = xOf(lng), y = yOf(lat);
    const across = eastward(x, place.x) / X_UNITS, down = (place.y - y) / Y_UNITS;
    const pixels = Math.hypot(across, down) * cameraOf({ longitude: 0, latitude: 0, zoom: this.#map.getZoom(), bearing: 0 }, 0, 0).scale;
    const passed = this.#time === 0 ? 16 : Math.min(100, time - this.#time);
    this.#time = time;
    const part = still || pixels < THERE || pixels > FAR ? 1 : 1 - Math.exp(-passed / CATCH_UP);
    this.#centre = new this.#library.LngLat(longitudeOf(x / X_UNITS + across * part), latitudeOf(y / Y_UNITS + down * part));
    if (pixels === 0 || this.#map.isZooming()) return false;
    if (pixels > 0.02) {
      this.jumping = true;
      this.#map.jumpTo({ center: this.#centre });
      this.jumping = false;
    }
    return pixels > THERE;
  }
}
