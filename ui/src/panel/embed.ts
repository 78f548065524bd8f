// Embed: in another page's frame the panel is a link to the full page, trouble, and the card of what was clicked.

import { writeShown } from "../url.ts";
import type { Context } from "./context.ts";
import { el } from "./dom.ts";
import { icon } from "./icons.ts";

/** A link that opens the full page, showing what this one shows. */
export function fullPageLink(context: Context): HTMLElement {
  const link = el("a", { class: "full-page", target: "_blank", rel: "noopener", href: "./" }, "Open the full map", icon("open"),
    el("span", { class: "visually-hidden" }, " (new tab)"));
  const update = () => {
    link.href = `${location.pathname}${writeShown({ ...context.state.shown, embed: false }, location.search)}`;
  };
  context.signal.addEventListener("abort", context.state.on("change", update));
  update();
  return link;
}
