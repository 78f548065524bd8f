// The fleet as markers of Leaflet, on the same base map.

import L from "leaflet";
import "leaflet/dist/leaflet.css";
import "./peer.css";
import { drawn, everySecond, follow, VIEW } from "./fleet.js";

const world = new URL("bench-world.json", location.href).href;
// Leaflet's world is 256 pixels wide at zoom 0, MapLibre's 512.
const map = L.map("map", { center: [VIEW.latitude, VIEW.longitude], zoom: VIEW.zoom + 1, attributionControl: false });
void fetch(world).then(async (response) => {
  const data = await response.json();
  L.geoJSON(data, {
    renderer: L.canvas(), interactive: false, filter: ({ properties: { kind } }) => kind === "land" || kind === "border",
    style: (feature) => feature.properties.kind === "land"
      ? { stroke: false, fillColor: "#f5f4ef", fillOpacity: 1 } : { color: "#b5b1a8", weight: 1, fill: false },
  }).addTo(map);
});
const subscription = await follow();
const icon = L.divIcon({ className: "dot", iconSize: [11, 11] }), markers = new Map();

everySecond(subscription, (moved) => {
  if (markers.size === 0) drawn();
  for (const { device_id, latitude, longitude } of moved) {
    const marker = markers.get(device_id);
    if (marker) marker.setLatLng([latitude, longitude]);
    else markers.set(device_id, L.marker([latitude, longitude], { icon, keyboard: false }).addTo(map));
  }
});
