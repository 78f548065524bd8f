// The fleet as a GeoJSON source of MapLibre. `?update`: only what has changed is handed over (`updateData`), otherwise all (`setData`).

import { MapLibreMap, setWorkerUrl } from "maplibre-gl";
import "maplibre-gl/dist/maplibre-gl.css";
import "./peer.css";
import { builtIn } from "../../src/map/style.ts";
import { drawn, everySecond, follow, VIEW } from "./fleet.js";

const update = new URLSearchParams(location.search).has("update");
setWorkerUrl(new URL("bench-worker.js", location.href).href);
const world = new URL("bench-world.json", location.href).href;
const map = new MapLibreMap({
  container: "map", style: builtIn(world, false), center: [VIEW.longitude, VIEW.latitude], zoom: VIEW.zoom, attributionControl: false, maxPitch: 0,
});
const styled = new Promise((resolve) => map.once("style.load", resolve));
const subscription = await follow();
await styled;
map.addSource("fleet", { type: "geojson", data: { type: "FeatureCollection", features: [] }, promoteId: "id" });
map.addLayer({
  id: "fleet", type: "circle", source: "fleet",
  paint: { "circle-radius": 5, "circle-color": "#1769d2", "circle-stroke-color": "#ffffff", "circle-stroke-width": 1 },
});
const source = map.getSource("fleet");
const known = new Set();

const point = ({ longitude, latitude }) => ({ type: "Point", coordinates: [longitude, latitude] });
const feature = (position) => ({ type: "Feature", properties: { id: position.device_id }, geometry: point(position) });

everySecond(subscription, (moved) => {
  if (!update) {
    void source.setData({ type: "FeatureCollection", features: [...subscription.devices.values()].map(feature) });
    return;
  }
  const add = [], changes = [];
  for (const position of moved) {
    if (known.has(position.device_id)) changes.push({ id: position.device_id, newGeometry: point(position) });
    else add.push(feature(position));
    known.add(position.device_id);
  }
  void source.updateData({ add, update: changes });
});
map.on("render", function look() {
  if (map.querySourceFeatures("fleet").length === 0) return;
  map.off("render", look);
  drawn();
});
