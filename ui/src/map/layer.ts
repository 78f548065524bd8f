// DeviceLayer: draws the devices, and what belongs to the selected one, on a canvas of its own above the map's.
//
// MapLibre paints its whole map again for any change, so a frame in which only devices move must not be one of its frames.

import { AT, COLOR, FROM, START, STRIDE, TO } from "./buffer.ts";
import type { DeviceBuffer } from "./buffer.ts";
import { link } from "./gl.ts";
import type { Program } from "./gl.ts";
import { copies, X_UNITS, Y_UNITS } from "./projection.ts";
import type { Camera } from "./projection.ts";
import { DEVICE_FRAGMENT, DEVICE_VERTEX, MARK_FRAGMENT, MARK_VERTEX, TRAIL_FRAGMENT, TRAIL_VERTEX } from "./shaders.ts";

/** Words of a segment of the trail: from, to, and whether it is a gap. */
export const SEGMENT = 5;

/** Red, green, blue, 0 to 1. */
type Rgb = readonly [number, number, number];

/** What a frame is drawn by, besides the devices. */
export interface Look {
  /** `performance.now()`. */
  readonly time: number;
  /** The server's time, ms since 1970. */
  readonly now: number;
  readonly still: boolean;
  readonly dark: boolean;
  readonly staleAfter: number;
  readonly lostAfter: number;
  /** How large devices are, 1: as usual. */
  readonly size: number;
  readonly hovered: number | undefined;
  readonly selected: number | undefined;
  /** Of the selected device, CSS pixels; 0: none. */
  readonly accuracy: number;
  /** Its trail. */
  readonly trail: Trail | undefined;
}

/** Segments to draw, `SEGMENT` words each. */
export interface Trail {
  readonly words: Uint32Array<ArrayBuffer>;
  readonly segments: number;
  readonly color: Rgb;
}

/** CSS pixels: the radius of a dot, and of an arrow from its middle to its tip. */
const DOT = 5.5, ARROW = 10.5;
const TRAIL_WIDTH = 3;
const LIGHT_HALO: Rgb = [1, 1, 1], DARK_HALO: Rgb = [0.06, 0.08, 0.1];
const LOST_LIGHT: Rgb = [0.5, 0.53, 0.57], LOST_DARK: Rgb = [0.56, 0.59, 0.63];

interface Resources {
  readonly devices: Program;
  readonly marks: Program;
  readonly trail: Program;
  readonly buffer: WebGLBuffer;
  readonly segments: WebGLBuffer;
  readonly deviceArrays: WebGLVertexArrayObject;
  readonly markArrays: WebGLVertexArrayObject;
  readonly trailArrays: WebGLVertexArrayObject;
  /** Devices that the buffer of the graphics card has room for. */
  capacity: number;
}

export class DeviceLayer {
  readonly canvas: HTMLCanvasElement;
  readonly #gl: WebGL2RenderingContext;
  readonly #devices: DeviceBuffer;
  /** Undefined while the context is lost. */
  #own: Resources | undefined;
  #ratio = 1;
  /** Uploads and frames so far, for tests. */
  uploads = 0;
  frames = 0;

  /** `restored` is called when there is something to draw again after the context was lost. */
  constructor(canvas: HTMLCanvasElement, gl: WebGL2RenderingContext, devices: DeviceBuffer, restored: () => void) {
    this.canvas = canvas;
    this.#gl = gl;
    this.#devices = devices;
    this.#own = this.#make();
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.#own = undefined;
    });
    canvas.addEventListener("webglcontextrestored", () => {
      this.#own = this.#make();
      restored();
    });
  }

  get lost(): boolean {
    return this.#own === undefined;
  }

  #make(): Resources {
    const gl = this.#gl;
    const own: Resources = {
      devices: link(gl, DEVICE_VERTEX, DEVICE_FRAGMENT), marks: link(gl, MARK_VERTEX, MARK_FRAGMENT),
      trail: link(gl, TRAIL_VERTEX, TRAIL_FRAGMENT),
      buffer: gl.createBuffer(), segments: gl.createBuffer(),
      deviceArrays: gl.createVertexArray(), markArrays: gl.createVertexArray(), trailArrays: gl.createVertexArray(),
      capacity: 0,
    };
    gl.bindVertexArray(own.deviceArrays);
    this.#describeDevices(own, 0, 0);
    gl.bindVertexArray(own.trailArrays);
    gl.bindBuffer(gl.ARRAY_BUFFER, own.segments);
    const bytes = SEGMENT * 4;
    gl.vertexAttribIPointer(0, 2, gl.UNSIGNED_INT, bytes, 0);
    gl.vertexAttribIPointer(1, 2, gl.UNSIGNED_INT, bytes, 8);
    gl.vertexAttribIPointer(2, 1, gl.UNSIGNED_INT, bytes, 16);
    for (let place = 0; place < 3; place++) this.#enable(place, 1);
    gl.bindVertexArray(null);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.#devices.touchAll();
    return own;
  }

  /** Where the shader finds the devices from `first` on; `divisor` 1: one for all vertices. */
  #describeDevices(own: Resources, first: number, divisor: number): void {
    const gl = this.#gl, bytes = STRIDE * 4, start = first * bytes;
    gl.bindBuffer(gl.ARRAY_BUFFER, own.buffer);
    gl.vertexAttribIPointer(0, 2, gl.UNSIGNED_INT, bytes, start + FROM * 4);
    gl.vertexAttribIPointer(1, 2, gl.UNSIGNED_INT, bytes, start + TO * 4);
    gl.vertexAttribPointer(2, 2, gl.FLOAT, false, bytes, start + START * 4);
    gl.vertexAttribPointer(3, 2, gl.FLOAT, false, bytes, start + AT * 4);
    gl.vertexAttribPointer(4, 4, gl.UNSIGNED_BYTE, true, bytes, start + COLOR * 4);
    for (let place = 0; place < 5; place++) this.#enable(place, divisor);
  }

  #enable(place: number, divisor: number): void {
    this.#gl.enableVertexAttribArray(place);
    this.#gl.vertexAttribDivisor(place, divisor);
  }

  resize(width: number, height: number, ratio: number): void {
    this.#ratio = ratio;
    const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
    if (this.canvas.width !== w) this.canvas.width = w;
    if (this.canvas.height !== h) this.canvas.height = h;
  }

  /** Sends what has changed to the graphics card. */
  upload(): void {
    const own = this.#own, gl = this.#gl, devices = this.#devices;
    if (!own) return;
    gl.bindBuffer(gl.ARRAY_BUFFER, own.buffer);
    if (own.capacity !== devices.capacity) {
      own.capacity = devices.capacity;
      gl.bufferData(gl.ARRAY_BUFFER, devices.words, gl.DYNAMIC_DRAW);
      devices.takeDirty(() => undefined);
      this.uploads++;
      return;
    }
    let sent = false;
    devices.takeDirty((first, end) => {
      gl.bufferSubData(gl.ARRAY_BUFFER, first * STRIDE * 4, devices.words, first * STRIDE, (end - first) * STRIDE);
      sent = true;
    });
    if (sent) this.uploads++;
  }

  draw(camera: Camera, look: Look): void {
    const own = this.#own, gl = this.#gl;
    if (!own) return;
    this.frames++;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const aside = copies(camera);
    if (look.trail && look.trail.segments > 0) this.#drawTrail(own, camera, look.trail, aside);
    this.#drawDevices(own, camera, look, aside);
    gl.bindVertexArray(null);
  }

  #drawDevices(own: Resources, camera: Camera, look: Look, aside: number): void {
    const gl = this.#gl, { devices } = own;
    if (this.#devices.end === 0) return;
    if (look.selected !== undefined && look.accuracy > 0) this.#mark(own, camera, look, aside, look.selected, look.accuracy, true);
    this.#prepare(devices, camera, look);
    gl.uniform1f(devices.uniform("u_now"), this.#devices.serverSeconds(look.now));
    gl.uniform2f(devices.uniform("u_ages"), look.staleAfter / 1000, look.lostAfter / 1000);
    gl.uniform3f(devices.uniform("u_lostColor"), ...(look.dark ? LOST_DARK : LOST_LIGHT));
    gl.uniform1f(devices.uniform("u_ratio"), this.#ratio);
    gl.bindVertexArray(own.deviceArrays);
    this.#points(devices, camera, aside, 0, this.#devices.end, look.size);
    const large = Math.max(0.8, look.size) * 1.25;
    if (look.hovered !== undefined) this.#points(devices, camera, aside, look.hovered, 1, large);
    if (look.selected === undefined) return;
    this.#points(devices, camera, aside, look.selected, 1, large);
    this.#mark(own, camera, look, aside, look.selected, ARROW * large + 4, false);
  }

  #points(program: Program, camera: Camera, aside: number, first: number, count: number, size: number): void {
    const gl = this.#gl;
    gl.uniform2f(program.uniform("u_radius"), DOT * size, ARROW * size);
    this.#inCopies(program, camera, aside, () => gl.drawArrays(gl.POINTS, first, count));
  }

  /** A ring, or a filled circle, around one device. */
  #mark(own: Resources, camera: Camera, look: Look, aside: number, slot: number, reach: number, filled: boolean): void {
    const gl = this.#gl;
    this.#prepare(own.marks, camera, look);
    gl.uniform1f(own.marks.uniform("u_reach"), reach);
    gl.uniform1i(own.marks.uniform("u_filled"), Number(filled));
    gl.bindVertexArray(own.markArrays);
    this.#describeDevices(own, slot, 1);
    this.#inCopies(own.marks, camera, aside, () => gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, 1));
  }

  #inCopies(program: Program, camera: Camera, aside: number, draw: () => void): void {
    for (let copy = -aside; copy <= aside; copy++) {
      this.#gl.uniform1f(program.uniform("u_copy"), copy * camera.scale);
      draw();
    }
  }

  /** What devices and their marks have in common. */
  #prepare(program: Program, camera: Camera, look: Look): void {
    const gl = this.#gl;
    gl.useProgram(program.program);
    this.#project(program, camera);
    gl.uniform1f(program.uniform("u_time"), this.#devices.seconds(look.time));
    gl.uniform1i(program.uniform("u_still"), Number(look.still));
    gl.uniform3f(program.uniform("u_halo"), ...(look.dark ? DARK_HALO : LIGHT_HALO));
  }

  #drawTrail(own: Resources, camera: Camera, trail: Trail, aside: number): void {
    const gl = this.#gl;
    gl.useProgram(own.trail.program);
    this.#project(own.trail, camera);
    gl.uniform1f(own.trail.uniform("u_width"), TRAIL_WIDTH);
    gl.uniform3f(own.trail.uniform("u_color"), ...trail.color);
    gl.bindVertexArray(own.trailArrays);
    gl.bindBuffer(gl.ARRAY_BUFFER, own.segments);
    gl.bufferData(gl.ARRAY_BUFFER, trail.words, gl.STREAM_DRAW, 0, trail.segments * SEGMENT);
    this.#inCopies(own.trail, camera, aside, () => gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, trail.segments));
  }

  /** The uniforms of the projection. */
  #project(program: Program, camera: Camera): void {
    const gl = this.#gl, x = camera.x * X_UNITS, y = camera.y * Y_UNITS, unit = camera.scale / X_UNITS;
    gl.uniform2ui(program.uniform("u_centre"), Math.floor(x), Math.floor(y));
    gl.uniform2f(program.uniform("u_rest"), (x - Math.floor(x)) * unit, (y - Math.floor(y)) * unit * 2);
    gl.uniform2f(program.uniform("u_unit"), unit, unit * 2);
    gl.uniform2f(program.uniform("u_turn"), Math.cos(camera.bearing), Math.sin(camera.bearing));
    gl.uniform2f(program.uniform("u_size"), camera.width, camera.height);
    gl.uniform1f(program.uniform("u_pixel"), 1 / this.#ratio);
  }
}
