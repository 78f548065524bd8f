// Makes the data of the built-in base map out of Natural Earth (world-atlas): land, borders and names, as GeoJSON.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { feature, mesh } from "topojson-client";

/** Decimals of a degree that are kept: the source is of scale 1 : 50,000,000 and its grid finer than its lines are right. */
const DECIMALS = 2;

let made;

/** The file's text. MapLibre's worker reads it, so that the page itself need not. */
export function world() {
  return (made ??= make());
}

async function make() {
  const atlas = JSON.parse(await readFile(join(import.meta.dirname, "node_modules/world-atlas/countries-50m.json"), "utf8"));
  const land = polygons(feature(atlas, atlas.objects.land).features[0].geometry).map(unwrapped).flatMap(cut)
    .map((polygon) => polygon.map(ring).filter((points) => points.length >= 4)).filter((polygon) => polygon.length > 0)
    .map((coordinates) => item("land", { type: "Polygon", coordinates }));
  const borders = mesh(atlas, atlas.objects.countries, (a, b) => a !== b).coordinates
    .map((line) => thinned(line)).filter((line) => line.length >= 2);
  const names = feature(atlas, atlas.objects.countries).features.map(named);
  return JSON.stringify({ type: "FeatureCollection", features: [...land, item("border", { type: "MultiLineString", coordinates: borders }), ...names] });
}

const item = (kind, geometry, more = {}) => ({ type: "Feature", properties: { kind, ...more }, geometry });
const polygons = (geometry) => (geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates);
const rounded = (number) => Number(number.toFixed(DECIMALS));

/** A line in rounded coordinates without what then falls together. */
function thinned(line) {
  return line.map((point) => point.map(rounded)).filter(([x, y], index, all) => index === 0 || x !== all[index - 1][0] || y !== all[index - 1][1]);
}
const ring = (points) => thinned(points);

/**
 * A polygon whose rings go on beyond 180 degrees where the source jumps from one edge of the map to the other. A ring
 * around the pole, which is Antarctica's, is led along the edge of the map.
 */
function unwrapped(polygon) {
  const rings = polygon.map((points) => {
    let turn = 0;
    const out = points.map(([x, y], index) => {
      if (index > 0) turn -= 360 * Math.round((x - points[index - 1][0]) / 360);
      return [x + turn, y];
    });
    if (turn === 0) return out;
    return [...out, [out.at(-1)[0], -90], [out[0][0], -90], out[0]];
  });
  // Holes are where their polygon is.
  const east = middleOf(rings[0]);
  return rings.map((points) => {
    const shift = 360 * Math.round((east - middleOf(points)) / 360);
    return points.map(([x, y]) => [x + shift, y]);
  });
}

const onMap = ([x, y]) => [((x + 540) % 360) - 180, y];
const middleOf = (points) => points.reduce((sum, [x]) => sum + x, 0) / points.length;

/** The parts of a polygon on the map from -180 to 180 degrees, cut at its edges. */
function cut(polygon) {
  return [-360, 0, 360].map((shift) => polygon
    .map((points) => clip(clip(points.map(([x, y]) => [x + shift, y]), (x) => x + 180, -180), (x) => 180 - x, 180))
    .filter((points) => points.length >= 4)).filter((parts) => parts.length > 0 && area(parts[0]) > 0);
}

/** What of a ring is inside of a meridian (Sutherland and Hodgman). */
function clip(points, inside, meridian) {
  const out = [];
  for (let i = 1; i < points.length; i++) {
    const [a, b] = [points[i - 1], points[i]], [from, to] = [inside(a[0]), inside(b[0])];
    if (from >= 0) out.push(a);
    if (from >= 0 !== to >= 0) out.push([meridian, a[1] + ((b[1] - a[1]) * from) / (from - to)]);
  }
  return out.length > 0 ? [...out, out[0]] : out;
}

/** A country's name where its largest part has the most room, and from which zoom on there is room for it. */
function named(country) {
  const largest = polygons(country.geometry).map(unwrapped).reduce((a, b) => (area(b[0]) > area(a[0]) ? b : a));
  const squareDegrees = area(largest[0]);
  // Half a zoom for each halving of its width, from those that have room on a map of the world.
  const rank = Math.min(6, Math.max(0, rounded((Math.log2(400 / squareDegrees) / 2))));
  return item("name", { type: "Point", coordinates: onMap(middle(largest)).map(rounded) }, { name: country.properties.name, rank });
}

/** Square degrees of a ring on the sphere. */
function area(points) {
  const sine = (y) => Math.sin((y * Math.PI) / 180);
  let sum = 0;
  for (let i = 1; i < points.length; i++) sum += (points[i][0] - points[i - 1][0]) * (sine(points[i][1]) + sine(points[i - 1][1]));
  return Math.abs((sum / 2) * 180) / Math.PI;
}

/** The point of a polygon that is farthest from its edges, of a grid of them refined around the best. */
function middle(polygon) {
  const xs = polygon[0].map(([x]) => x), ys = polygon[0].map(([, y]) => y);
  let [west, east, south, north] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  let best = [(west + east) / 2, (south + north) / 2], most = -Infinity;
  for (let round = 0; round < 4; round++) {
    const stepX = (east - west) / 12, stepY = (north - south) / 12;
    for (let i = 0; i <= 12; i++) {
      for (let j = 0; j <= 12; j++) {
        const point = [west + i * stepX, south + j * stepY], room = clearance(polygon, point);
        if (room > most) [best, most] = [point, room];
      }
    }
    [west, east, south, north] = [best[0] - stepX, best[0] + stepX, best[1] - stepY, best[1] + stepY];
  }
  return best;
}

/** How far a point is inside of a polygon, degrees of latitude; negative: it is outside. */
function clearance(polygon, [x, y]) {
  const shrink = Math.cos((y * Math.PI) / 180);
  let inside = false, least = Infinity;
  for (const points of polygon) {
    for (let i = 1; i < points.length; i++) {
      const [ax, ay] = points[i - 1], [bx, by] = points[i];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
      const dx = (bx - ax) * shrink, dy = by - ay, px = (x - ax) * shrink, py = y - ay;
      const part = Math.min(1, Math.max(0, (px * dx + py * dy) / (dx * dx + dy * dy || 1)));
      least = Math.min(least, Math.hypot(px - part * dx, py - part * dy));
    }
  }
  return inside ? least : -least;
}
