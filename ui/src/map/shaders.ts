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

export const DEVICE_VERTEX = `${PROJECT}
layout(location = 0) in uvec2 a_from;
layout(location = 1) in uvec2 a_to;
layout(location = 2) in vec2 a_slide;    // start, duration: seconds
layout(location = 3) in vec2 a_look;     // when it was there, seconds; heading, radians, or more than 100: it stands
layout(location = 4) in vec4 a_color;

uniform float u_time;       // as a_slide
uniform float u_now;        // as a_look
uniform bool u_still;
uniform vec2 u_ages;        // stale and lost after, seconds
uniform vec2 u_radius;      // of a dot and of an arrow, CSS pixels
uniform vec3 u_lostColor;
uniform int u_mode;         // 0: the device, 1: its ring, 2: its circle of accuracy

out vec2 v_at;              // pixels from the middle, turned as the arrow is
flat out float v_radius;
flat out vec4 v_color;
flat out int v_shape;       // 0: dot, 1: arrow, 2: ring, 3: circle

void main() {
  if (a_color.a == 0.0) { gl_Position = vec4(2.0, 2.0, 2.0, 1.0); return; }
  float done = u_still || a_slide.y <= 0.0 ? 1.0 : clamp((u_time - a_slide.x) / a_slide.y, 0.0, 1.0);
  vec2 middle = turned(fromCentre(a_from) + vec2(ivec2(a_to - a_from)) * u_unit * done);

  bool arrow = a_look.y < 100.0;
  v_shape = u_mode == 0 ? (arrow ? 1 : 0) : u_mode + 1;
  v_radius = arrow ? u_radius.y : u_radius.x;
  if (u_mode == 1) v_radius = max(u_radius.y, 9.0) + 5.0;
  if (u_mode == 2) v_radius = u_radius.x;

  float age = u_now - a_look.x;
  bool lost = age >= u_ages.y;
  float fade = lost ? 0.6 : 1.0 - 0.55 * clamp((age - u_ages.x) / max(1.0, min(u_ages.x, u_ages.y - u_ages.x)), 0.0, 1.0);
  v_color = vec4(lost && u_mode == 0 ? u_lostColor : a_color.rgb, u_mode == 0 ? fade : 1.0);

  vec2 corner = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1)) * 2.0 - 1.0;
  vec2 from = corner * (v_radius + 2.0);
  v_at = from;
  if (v_shape == 1) {
    float turn = a_look.y - atan(u_turn.y, u_turn.x), c = cos(turn), s = sin(turn);
    from = vec2(from.x * c - from.y * s, from.x * s + from.y * c);
  }
  gl_Position = clip(middle + from);
}
`;

export const DEVICE_FRAGMENT = `#version 300 es
precision highp float;
uniform float u_pixel;      // a device pixel in CSS pixels
uniform vec3 u_halo;        // around the shapes, so that they stand out from the map and from each other
in vec2 v_at;
flat in float v_radius;
flat in vec4 v_color;
flat in int v_shape;
out vec4 color;

float cover(float distance) { return clamp(0.5 - distance / u_pixel, 0.0, 1.0); }

// Pixels outside of an arrowhead that points up: its sides, and the notch at its back.
float arrow(vec2 p) {
  p = vec2(abs(p.x), p.y) / v_radius;
  float side = dot(p - vec2(0.0, -1.0), vec2(0.932, -0.362));
  float notch = dot(p - vec2(0.0, 0.5), vec2(-0.437, 0.899));
  return max(side, notch) * v_radius;
}

void main() {
  float r = length(v_at);
  if (v_shape == 2) {
    float ring = abs(r - v_radius);
    float inner = cover(ring - 1.25), outer = cover(ring - 2.0) * 0.8;
    color = vec4(mix(u_halo * outer, v_color.rgb, inner), max(inner, outer));
    return;
  }
  if (v_shape == 3) {
    float inside = cover(r - v_radius), edge = cover(abs(r - v_radius + 0.5) - 0.5);
    color = vec4(v_color.rgb, 1.0) * max(inside * 0.14, edge * 0.7);
    return;
  }
  float d = v_shape == 1 ? arrow(v_at) : r - v_radius;
  float halo = clamp(v_radius * 0.25, 0.5, 1.5);
  float whole = cover(d - halo * 0.5), body = cover(d + halo * 0.5);
  if (whole <= 0.0) discard;
  color = vec4(mix(u_halo, v_color.rgb, body), 1.0) * whole * v_color.a;
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

export const TRAIL_FRAGMENT = `#version 300 es
precision highp float;
uniform float u_pixel;
uniform float u_width;
uniform vec3 u_color;
in vec2 v_at;
flat in float v_length;
flat in uint v_gap;
out vec4 color;

void main() {
  float d = length(vec2(v_at.x - clamp(v_at.x, 0.0, v_length), v_at.y));
  float half_width = u_width * 0.5;
  float line = clamp(0.5 - (d - (v_gap == 0u ? half_width : half_width * 0.5)) / u_pixel, 0.0, 1.0);
  // Nothing is known of where the device was in a gap: dots from its one side to the other.
  if (v_gap != 0u) line *= step(mod(v_at.x, 8.0), 3.0) * 0.7;
  if (line <= 0.0) discard;
  color = vec4(u_color, 1.0) * line * 0.85;
}
`;
