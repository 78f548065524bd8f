// No map: a plain message where the map would be.

import { el } from "./dom.ts";

/** Says why there is no map, in the map's place, until the signal. */
export function showNoMap(why: string, embed: boolean, signal: AbortSignal): void {
  const place = document.querySelector("#map");
  const message = el("div", { class: "no-map" }, el("h2", {}, "The map cannot be shown"), el("p", {}, why),
    el("p", {}, embed ? "The full page has a list of the devices." : "The list of devices works without it: it has those of the whole world."));
  place?.append(message);
  document.body.classList.add("without-map");
  signal.addEventListener("abort", () => {
    message.remove();
    document.body.classList.remove("without-map");
  });
}
