// What the map needs of MapLibre. Loaded by `import()`, so that it is a file of its own beside the rest of the page.

export { addProtocol, AttributionControl, LngLat, MapLibreMap, NavigationControl, ScaleControl, setWorkerUrl } from "maplibre-gl";
