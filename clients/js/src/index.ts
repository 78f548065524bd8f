/// <reference lib="esnext.disposable" preserve="true" />
// The public names of the package.

export { ProcessorClient } from "./client.ts";
export type { Subscription } from "./subscription.ts";
export type * from "./types.ts";
