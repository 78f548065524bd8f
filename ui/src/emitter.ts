// Emitter: typed events between the parts of the page, as those of the client: a listener that throws keeps no other from being called.

export { Emitter } from "../../clients/js/src/emitter.ts";
