// Shaders: GLSL of the devices and of the trail.

/** From whole numbers of the projection to pixels of the view; the same maths as in projection.ts. */
const PROJECT = `#version 300 es
precision highp float;
uniform uvec2 u_centre;     // the middle of the view, in units
uniform vec2 u_rest;        // what is left of it, pixels
uniform vec2 u_unit;        // pixels of a unit, across and down
uniform vec2 u_turn;        // cosine and sine of the bearing
uniform vec2 u_size;        // the view, CSS pixels
uniform float u_copy;       // which copy of the world, pixels to the east

vec2 fromCentre(uvec2 place) {
  return vec2(ivec2(place - u_centre)) * u_unit - u_rest + vec2(u_copy, 0.0);
}
vec2 turned(vec2 p) {
  return vec2(p.x * u_turn.x + p.y * u_turn.y, p.y * u_turn.x - p.x * u_turn.y);
}
vec4 clip(vec2 pixels) {
  return vec4(pixels / u_size * vec2(2.0, -2.0), 0.0, 1.0);
}
`;

/** Where a device is drawn, by what the buffer says of it. */
const PLACE = `${PROJECT}
layout(location = 0) in uvec2 a_from;
layout(location = 1) in uvec2 a_to;
layout(location = 2) in vec2 a_slide;    // start, duration: seconds
layout(location = 3) in vec2 a_look;     // when it was there, seconds; heading, radians, or more than 100: it stands
layout(location = 4) in vec4 a_color;
uniform float u_time;       // as a_slide
uniform bool u_still;

vec2 middle() {
  float done = u_still || a_slide.y <= 0.0 ? 1.0 : clamp((u_time - a_slide.x) / a_slide.y, 0.0, 1.0);
  return turned(fromCentre(a_from) + vec2(ivec2(a_to - a_from)) * u_unit * done);
}
`;

/** Devices are points with a size: one vertex each. (Instances of squares take software renderers ten times as long.) */
export const DEVICE_VERTEX = `${PLACE}
uniform float u_now;        // as a_look
uniform vec2 u_ages;        // stale and lost after, seconds
uniform vec2 u_radius;      // of a dot and of an arrow, CSS pixels
uniform vec3 u_lostColor;
uniform float u_ratio;      // device pixels in a CSS pixel

flat out vec4 v_color;
flat out vec2 v_turn;       // cosine and sine of where an arrow points on the screen; zero: it is a dot
flat out vec2 v_size;       // radius, and side of the point: CSS pixels

void main() {
  if (a_color.a == 0.0) { gl_Position = vec4(2.0, 2.0, 2.0, 1.0); gl_PointSize = 1.0; return; }
  bool arrow = a_look.y < 100.0;
  float turn = a_look.y - atan(u_turn.y, u_turn.x);
  v_turn = arrow ? vec2(cos(turn), sin(turn)) : vec2(0.0);
  v_size.x = arrow ? u_radius.y : u_radius.x;
  v_size.y = 2.0 * (arrow ? v_size.x * 1.12 + 1.5 : v_size.x + 1.5);

  float age = u_now - a_look.x;
  bool lost = age >= u_ages.y;
  float fade = lost ? 0.6 : age < u_ages.x ? 1.0 : 0.7 - 0.25 * clamp((age - u_ages.x) / max(1.0, min(u_ages.x, u_ages.y - u_ages.x)), 0.0, 1.0);
  v_color = vec4(lost ? u_lostColor : a_color.rgb, fade);

  gl_Position = clip(middle());
  gl_PointSize = v_size.y * u_ratio;
}
`;

const COVER = `#version 300 es
precision highp float;
uniform float u_pixel;      // a device pixel in CSS pixels
out vec4 color;

float cover(float distance) { return clamp(0.5 - distance / u_pixel, 0.0, 1.0); }
`;

export const DEVICE_FRAGMENT = `${COVER}
uniform vec3 u_halo;        // around the shapes, so that they stand out from the map and from each other
flat in vec4 v_color;
flat in vec2 v_turn;
flat in vec2 v_size;

// Pixels outside of an arrowhead that points up: its sides, and the notch at its back.
float arrow(vec2 p) {
  p = vec2(abs(p.x * v_turn.x + p.y * v_turn.y), p.y * v_turn.x - p.x * v_turn.y) / v_size.x;
  float side = dot(p - vec2(0.0, -1.0), vec2(0.932, -0.362));
  float notch = dot(p - vec2(0.0, 0.5), vec2(-0.437, 0.899));
  return max(side, notch) * v_size.x;
}

void main() {
  vec2 at = (gl_PointCoord - 0.5) * v_size.y;
  float d = v_turn != vec2(0.0) ? arrow(at) : length(at) - v_size.x;
  float halo = clamp(v_size.x * 0.25, 0.5, 1.5);
  float whole = cover(d - halo * 0.5), body = cover(d + halo * 0.5);
  if (whole <= 0.0) discard;
  color = vec4(mix(u_halo, v_color.rgb, body), 1.0) * whole * v_color.a;
}
`;

/** What marks one device: its ring, or its circle of accuracy, which may be larger than a point can be. */
export const MARK_VERTEX = `${PLACE}
uniform float u_reach;      // the radius, CSS pixels
out vec2 v_at;              // CSS pixels from the middle
flat out vec3 v_color;

void main() {
  v_color = a_color.rgb;
  v_at = (vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1)) * 2.0 - 1.0) * (u_reach + 3.0);
  gl_Position = clip(middle() + v_at);
}
`;

export const MARK_FRAGMENT = `${COVER}
uniform float u_reach;
uniform bool u_filled;
uniform vec3 u_halo;
in vec2 v_at;
flat in vec3 v_color;

void main() {
  float d = length(v_at) - u_reach;
  if (u_filled) {
    color = vec4(v_color, 1.0) * max(cover(d) * 0.14, cover(abs(d + 0.5) - 0.5) * 0.7);
    return;
  }
  float ring = cover(abs(d) - 1.25), halo = cover(abs(d) - 2.0) * 0.8;
  color = vec4(mix(u_halo * halo, v_color, ring), max(ring, halo));
}
`;

export const TRAIL_VERTEX = `${PROJECT}
layout(location = 0) in uvec2 a_from;
layout(location = 1) in uvec2 a_to;
layout(location = 2) in uint a_gap;
uniform float u_width;
out vec2 v_at;              // pixels along and across, from the start
flat out float v_length;
flat out uint v_gap;

void main() {
  vec2 start = turned(fromCentre(a_from));
  vec2 way = turned(vec2(ivec2(a_to - a_from)) * u_unit);
  v_length = length(way);
  vec2 along = v_length > 0.0 ? way / v_length : vec2(1.0, 0.0), across = vec2(-along.y, along.x);
  vec2 corner = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1) * 2.0 - 1.0);
  float reach = u_width + 1.0;
  v_at = vec2(mix(-reach, v_length + reach, corner.x), corner.y * reach);
  v_gap = a_gap;
  gl_Position = clip(start + along * v_at.x + across * v_at.y);
}
`;

export const TRAIL_FRAGMENT = `${COVER}
uniform float u_width;
uniform vec3 u_color;
in vec2 v_at;
flat in float v_length;
flat in uint v_gap;

void main() {
  float d = length(vec2(v_at.x - clamp(v_at.x, 0.0, v_length), v_at.y));
  float half_width = u_width * 0.5;
  float line = cover(d - (v_gap == 0u ? half_width : half_width * 0.5));
  // Nothing is known of where the device was in a gap: dots from its one side to the other.
  if (v_gap != 0u) line *= step(mod(v_at.x, 8.0), 3.0) * 0.7;
  if (line <= 0.0) discard;
  color = vec4(u_color, 1.0) * line;
}
`;
