// The public names of the package.

export type * from "./types.ts";
