// LiveMap: joins the parts of the map: MapLibre below, the devices above, and what people do with both.

import type { MapLibreMap, MapMouseEvent, MapLibreEvent } from "maplibre-gl";
import type { Box } from "../../../clients/js/src/index.ts";
import { channels } from "../colors.ts";
import type { Color } from "../colors.ts";
import type { Units } from "../config.ts";
import type { Device } from "../device.ts";
import { Emitter } from "../emitter.ts";
import type { View } from "../state.ts";
import { Basemap } from "./basemap.ts";
import { DeviceBuffer, HEADING, STANDS, STRIDE, TO } from "./buffer.ts";
import { Controls } from "./controls.ts";
import { Follow } from "./follow.ts";
import { Frames } from "./frames.ts";
import { DeviceLayer } from "./layer.ts";
import type { Look } from "./layer.ts";
import { Picker } from "./picker.ts";
import { boxOf, cameraOf, projector, worldMetres } from "./projection.ts";
import type { Camera, Point } from "./projection.ts";
import { Tail } from "./tail.ts";
import { TrailStore } from "./trail.ts";
import type { MapEvents, MapOptions, MapView } from "./types.ts";

type Library = typeof import("./maplibre.ts");

/** What has changed is drawn within this, ms. */
const DRAW_WITHIN = 200;
/** Between two frames nothing moves farther than this, CSS pixels, unless it catches up. */
const STEP = 0.5;
/** What is under the mouse is looked up again after so many ms while devices move. */
const HOVER_EVERY = 250;
/** A view that follows a device comes to rest with each frame: that is told at most so often, ms. */
const REST_EVERY = 500;
/** Fixes that are older than this when the page is opened have no trail, ms: a hundred days. */
const OLDEST = 100 * 86_400_000;
/** One point alone is shown at this zoom. */
const CLOSE = 13;
/** What `go` and `fit` take, ms. */
const WAY = 600;

/** What is needed to make a `LiveMap`. */
export interface Parts {
  readonly library: Library;
  readonly map: MapLibreMap;
  readonly canvas: HTMLCanvasElement;
  readonly gl: WebGL2RenderingContext;
  /** The URL of the built-in map's data. */
  readonly world: string;
}

export class LiveMap extends Emitter<MapEvents> implements MapView {
  readonly #options: MapOptions;
  readonly #map: MapLibreMap;
  readonly #canvas: HTMLCanvasElement;
  readonly #buffer: DeviceBuffer;
  readonly #layer: DeviceLayer;
  readonly #picker: Picker;
  readonly #trails: TrailStore;
  readonly #tail: Tail;
  readonly #follow: Follow;
  readonly #basemap: Basemap;
  readonly #controls: Controls;
  readonly #frames = new Frames(() => this.#tick());
  readonly #ended = new AbortController();
  /** As MapLibre painted it last: what is drawn above must fit. */
  #camera: Camera;
  #dark: boolean;
  #still: boolean;
  #selected: string | undefined;
  #hovered: string | undefined;
  /** Where the mouse is on the map. */
  #pointer: Point | undefined;
  #pointed = 0;
  /** MapLibre has painted, and the devices with it, since the last frame of their own. */
  #painted = false;
  /** Following has moved the view since `moveend` was told, and when that was. */
  #restDue = false;
  #restTold = -Infinity;
  readonly #place: Point = { x: 0, y: 0 };

  constructor(options: MapOptions, parts: Parts) {
    super();
    this.#options = options;
    this.#dark = options.dark;
    this.#still = options.still;
    this.#map = parts.map;
    this.#canvas = parts.canvas;
    this.#buffer = new DeviceBuffer(performance.now(), options.now());
    this.#layer = new DeviceLayer(parts.canvas, parts.gl, this.#buffer, () => this.#frames.request());
    this.#picker = new Picker(this.#buffer);
    this.#trails = new TrailStore(options.now() - OLDEST);
    this.#tail = new Tail(this.#trails);
    this.#follow = new Follow(parts.map, parts.library);
    this.#controls = new Controls(parts.map, parts.library, options.units);
    this.#basemap = new Basemap(parts.map, options.dark, {
      library: parts.library, config: options.config, world: parts.world,
      notice: (text) => this.emit("notice", { text }),
      shown: (builtIn) => this.#controls.setBuiltIn(builtIn),
    });
    this.#camera = this.#look();
    parts.map.getCanvasContainer().append(parts.canvas);
    options.container.classList.toggle("map-dark", options.dark);
    this.#resize();
    this.#listen();
  }

  #listen(): void {
    const map = this.#map;
    map.on("render", () => this.#paintedByMap());
    map.on("resize", () => this.#resize());
    map.on("move", (event) => this.#moved("move", event));
    map.on("moveend", (event) => this.#moved("moveend", event));
    map.on("movestart", (event) => {
      const by = (event as { originalEvent?: Event }).originalEvent;
      if (by instanceof KeyboardEvent && by.key.startsWith("Arrow")) this.#follow.pause();
    });
    map.on("dragstart", () => this.#follow.pause());
    map.on("boxzoomstart", () => this.#follow.pause());
    map.on("click", (event) => this.emit("click", { id: this.#pick(event) }));
    map.on("mousemove", ({ point }) => {
      this.#pointer = point;
      this.#hover();
    });
    map.on("mouseout", () => {
      this.#pointer = undefined;
      this.#hover();
    });
    document.addEventListener("visibilitychange", () => this.#frames.request(), { signal: this.#ended.signal });
  }

  #moved(name: "move" | "moveend", event: MapLibreEvent): void {
    const person = (event as { originalEvent?: unknown }).originalEvent !== undefined;
    if (name === "moveend" && this.#follow.jumping) {
      this.#restDue = true;
      return;
    }
    // Zooming does not lead away from the device that is followed.
    this.emit(name, { byHand: person && !this.#follow.on });
    if (name === "moveend") this.#frames.request();
  }

  // What the rest of the page asks for.

  view(): View {
    const { lng, lat } = this.#map.getCenter().wrap();
    return { longitude: lng, latitude: lat, zoom: this.#map.getZoom(), bearing: this.#map.getBearing() };
  }

  box(): Box {
    return boxOf(this.#look());
  }

  go(view: Partial<View>): void {
    const { longitude, latitude, zoom, bearing } = { ...this.view(), ...view };
    const to = { center: [longitude, latitude] as [number, number], zoom, bearing };
    if (this.#still) this.#map.jumpTo(to);
    else this.#map.easeTo({ ...to, duration: WAY });
  }

  fit(box: Box): void {
    const { clientWidth, clientHeight } = this.#map.getContainer();
    // The page has changed its size, and MapLibre has not noticed yet.
    if (clientWidth !== this.#camera.width || clientHeight !== this.#camera.height) this.#map.resize();
    const [west, south, east, north] = box, { width, height } = this.#camera;
    this.#map.fitBounds([west, south, west > east ? east + 360 : east, north], {
      padding: Math.min(60, Math.min(width, height) * 0.15), maxZoom: CLOSE, bearing: this.#map.getBearing(),
      ...(this.#still ? { animate: false } : { duration: WAY }),
    });
  }

  update(changed: Iterable<Device>, gone: Iterable<string>): void {
    const time = performance.now(), { color } = this.#options, buffer = this.#buffer, isFirst = buffer.size === 0;
    // Where there are no frames, nothing is seen to slide.
    const still = this.#still || document.hidden;
    // About a screen.
    const farthest = Math.max(this.#camera.width, this.#camera.height, 400) / this.#camera.scale;
    buffer.renew(time);
    for (const id of gone) {
      buffer.remove(id);
      this.#trails.leave(id);
    }
    for (const device of changed) {
      const slot = buffer.put(device, rgba(color(device)), time, still, farthest), at = slot * STRIDE + TO;
      this.#trails.push(device.id, buffer.words[at]!, buffer.words[at + 1]!, device.fix.at);
      if (device.id === this.#selected) this.#tail.select(device.id);
    }
    this.#picker.changed();
    // Whoever has opened the page waits for the first ones.
    this.#frames.request(isFirst ? 0 : DRAW_WITHIN);
  }

  select(id: string | undefined): void {
    this.#selected = id;
    this.#tail.select(id);
    this.#frames.request();
  }

  follow(on: boolean): void {
    this.#follow.set(on);
    this.#frames.request();
  }

  setDark(dark: boolean): void {
    this.#dark = dark;
    this.#options.container.classList.toggle("map-dark", dark);
    this.#basemap.setDark(dark);
    this.#frames.request();
  }

  setUnits(units: Units): void {
    this.#controls.setUnits(units);
  }

  setStill(still: boolean): void {
    this.#still = still;
    this.#frames.request();
  }

  drawn(): Map<string, { x: number; y: number }> {
    const out = new Map<string, { x: number; y: number }>(), time = performance.now(), project = projector(this.#camera);
    for (const [id, slot] of this.#buffer.entries()) {
      const place = this.#buffer.place(slot, time, this.#still, this.#place);
      out.set(id, project(place.x, place.y, { x: 0, y: 0 }));
    }
    return out;
  }

  /** As what a device is drawn, for tests. */
  shape(id: string): "dot" | "arrow" | undefined {
    const slot = this.#buffer.slot(id);
    if (slot === undefined) return undefined;
    return this.#buffer.floats[slot * STRIDE + HEADING] === STANDS ? "dot" : "arrow";
  }

  /** The layer, for tests. */
  get layer(): DeviceLayer {
    return this.#layer;
  }

  /** MapLibre's map, for tests. */
  get mapLibre(): MapLibreMap {
    return this.#map;
  }

  close(): void {
    this.#ended.abort();
    this.#frames.stop();
    this.#map.remove();
  }

  // Frames.

  #look(): Camera {
    const { clientWidth, clientHeight } = this.#map.getContainer();
    return cameraOf(this.view(), clientWidth, clientHeight);
  }

  #resize(): void {
    this.#camera = this.#look();
    this.#layer.resize(this.#camera.width, this.#camera.height, this.#map.getPixelRatio());
    this.#canvas.style.width = `${this.#camera.width}px`;
    this.#canvas.style.height = `${this.#camera.height}px`;
    // A canvas that changes its size is empty: drawn at once, so that nobody sees that.
    this.#draw();
  }

  /** MapLibre has painted: the devices are drawn with it, in the same frame, by the same camera. */
  #paintedByMap(): void {
    const { width, height } = this.#camera;
    this.#camera = cameraOf(this.view(), width, height);
    this.#basemap.see(this.#camera);
    this.#painted = true;
    this.#draw();
  }

  #tick(): void {
    if (this.#painted && this.#map.isMoving()) {
      // MapLibre paints frame after frame, and the devices are drawn with it; seen to again in the next frame.
      this.#painted = false;
      return this.#frames.request();
    }
    this.#painted = false;
    this.#draw();
  }

  #draw(): void {
    const time = performance.now();
    this.#layer.upload();
    const selected = this.#buffer.slot(this.#selected);
    const place = selected === undefined ? undefined : this.#buffer.place(selected, time, this.#still, this.#place);
    const following = place !== undefined && this.#follow.on && this.#follow.step(place, time, this.#still);
    const isAtRest = !following && time >= this.#buffer.movingUntil;
    if (this.#restDue && (isAtRest || time - this.#restTold >= REST_EVERY)) {
      this.#restDue = false;
      this.#restTold = time;
      this.emit("moveend", { byHand: false });
    }
    // Devices move also where the mouse does not.
    if (this.#pointer && time - this.#pointed > HOVER_EVERY) this.#hover();
    this.#layer.draw(this.#camera, this.#lookOf(time, selected, place));
    this.#frames.request(following ? 0 : this.#pause(time));
  }

  #lookOf(time: number, selected: number | undefined, place: Point | undefined): Look {
    const { config, color } = this.#options, device = selected === undefined ? undefined : this.#buffer.devices[selected];
    const accuracy = device?.fix.position.accuracy ?? 0;
    return {
      time, now: this.#options.now(), still: this.#still, dark: this.#dark,
      staleAfter: config.stale_after_ms, lostAfter: config.lost_after_ms,
      size: this.#picker.size(this.#camera, time, this.#still), hovered: this.#buffer.slot(this.#hovered), selected,
      accuracy: place === undefined ? 0 : (accuracy / worldMetres(place.y)) * this.#camera.scale,
      trail: device === undefined || place === undefined ? undefined : this.#tail.upTo(place, color(device)),
    };
  }

  /** How long until something looks different, ms. */
  #pause(time: number): number {
    if (!this.#still && time < this.#buffer.movingUntil) return STEP / (this.#buffer.fastestOwn(time) * this.#camera.scale);
    const { stale_after_ms: stale, lost_after_ms: lost } = this.#options.config;
    return Math.max(1000, this.#buffer.nextAging(this.#options.now(), stale, lost));
  }

  // Pointers.

  #pick(event: MapMouseEvent): string | undefined {
    const touch = (event.originalEvent as PointerEvent).pointerType === "touch";
    return this.#picker.at(event.point, touch, this.#camera, performance.now(), this.#still);
  }

  #hover(): void {
    this.#pointed = performance.now();
    const point = this.#map.isMoving() ? undefined : this.#pointer;
    const id = point && this.#picker.at(point, false, this.#camera, this.#pointed, this.#still);
    if (id === this.#hovered) return;
    this.#hovered = id;
    this.#map.getCanvasContainer().classList.toggle("map-over-device", id !== undefined);
    this.#frames.request();
    this.emit("hover", { id });
  }
}

const colors = new Map<Color, number>();

/** A colour as the shader reads it: bytes red, green, blue, alpha, the lowest first. */
function rgba(color: Color): number {
  let number = colors.get(color);
  if (number === undefined) {
    const [red, green, blue] = channels(color);
    number = (red | (green << 8) | (blue << 16) | 0xff000000) >>> 0;
    colors.set(color, number);
  }
  return number;
}
