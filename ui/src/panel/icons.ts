// Icons: strokes on a grid of 20 by 20, in the colour of the text.

const PATHS = {
  fit: "M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4M10 8.5a1.5 1.5 0 1 0 0 3a1.5 1.5 0 1 0 0-3",
  settings: "M3 6h7M14 6h3M3 14h3M10 14h7M12 4a2 2 0 1 0 0 4a2 2 0 1 0 0-4M8 12a2 2 0 1 0 0 4a2 2 0 1 0 0-4",
  help: "M7.5 7.5a2.5 2.5 0 1 1 3.6 2.2c-.7.4-1.1.9-1.1 1.8M10 14.5v.1M10 2.5a7.5 7.5 0 1 0 0 15a7.5 7.5 0 1 0 0-15",
  close: "M5 5l10 10M15 5L5 15",
  copy: "M7 7V4.5A1.5 1.5 0 0 1 8.5 3h7A1.5 1.5 0 0 1 17 4.5v7a1.5 1.5 0 0 1-1.5 1.5H13" +
    "M4.5 7h7A1.5 1.5 0 0 1 13 8.5v7a1.5 1.5 0 0 1-1.5 1.5h-7A1.5 1.5 0 0 1 3 15.5v-7A1.5 1.5 0 0 1 4.5 7",
  follow: "M17 3L3 9l6 2l2 6z",
  show: "M10 5a5 5 0 1 0 0 10a5 5 0 1 0 0-10M10 2v3M10 15v3M2 10h3M15 10h3",
  search: "M9 3.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M13 13l4 4",
  panel: "M4 3.5h12A1.5 1.5 0 0 1 17.5 5v10a1.5 1.5 0 0 1-1.5 1.5H4A1.5 1.5 0 0 1 2.5 15V5A1.5 1.5 0 0 1 4 3.5M8 3.5v13",
  open: "M11 3h6v6M17 3l-8 8M14 11.5v4a1.5 1.5 0 0 1-1.5 1.5h-8A1.5 1.5 0 0 1 3 15.5v-8A1.5 1.5 0 0 1 4.5 6h4",
} as const;

/** An icon for people who see; its button has the name. */
export function icon(name: keyof typeof PATHS): SVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg"), path = document.createElementNS(space, "path");
  for (const [key, value] of [["viewBox", "0 0 20 20"], ["class", "icon"], ["aria-hidden", "true"], ["focusable", "false"]] as const) {
    svg.setAttribute(key, value);
  }
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
