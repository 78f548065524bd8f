// Failure: the page could not start, such as when the server does not answer.

import { el } from "./dom.ts";

/** Says in place of the map why the page could not start, with a button to try again. */
export function showFailure(error: unknown): void {
  const again = el("button", { type: "button", class: "button" }, "Try again");
  again.addEventListener("click", () => location.reload());
  const why = error instanceof Error ? error.message : String(error);
  document.querySelector("#map")?.replaceChildren(
    el("div", { class: "no-map", role: "alert" }, el("h1", {}, "The live map could not start"), el("p", {}, why), again));
}
