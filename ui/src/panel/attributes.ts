// Attributes: what a device reports beside its position, as lines to read. It may be anything that JSON can be.

import { number } from "../format.ts";

/** One line: a path such as "engine › rpm", and its value. */
export interface Line {
  readonly name: string;
  readonly value: string;
}

/** Nested deeper than this is shown as JSON. */
const DEEPEST = 4;
/** Most lines that are made at all. */
export const MOST_LINES = 500;

/** All attributes, nested ones in lines of their own. */
export function lines(attributes: Readonly<Record<string, unknown>> | undefined): Line[] {
  const found: Line[] = [];
  collect(attributes ?? {}, "", 0, found);
  return found;
}

function collect(values: object, path: string, depth: number, found: Line[]): void {
  for (const [name, value] of Object.entries(values)) {
    if (found.length >= MOST_LINES) return;
    const here = path === "" ? name : `${path} › ${name}`;
    const nested = typeof value === "object" && value !== null && !isPlainList(value) && Object.keys(value).length > 0;
    if (nested && depth < DEEPEST) collect(value, here, depth + 1, found);
    else found.push({ name: here, value: text(value) });
  }
}

/** A list without lists or objects in it reads well on one line. */
function isPlainList(value: object): value is unknown[] {
  return Array.isArray(value) && value.every((item) => typeof item !== "object" || item === null);
}

function text(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return Number.isInteger(value) && Math.abs(value) >= 10_000 ? number(value) : String(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (value === null) return "none";
  if (typeof value === "object" && isPlainList(value)) return value.length === 0 ? "none" : value.map(text).join(", ");
  return JSON.stringify(value) ?? "";
}
