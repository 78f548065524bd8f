// Panel: everything on the page but the map: status, list, card, search, filters, keys.

import type { Box } from "../../../clients/js/src/index.ts";
import type { Config } from "../config.ts";
import type { Device } from "../device.ts";
import type { Fleet } from "../fleet.ts";
import type { PageState } from "../state.ts";

export interface PanelOptions {
  readonly root: HTMLElement;
  readonly config: Config;
  readonly state: PageState;
  readonly fleet: Fleet;
  readonly map: {
    /** What is visible; without a map, the whole world. */
    box(): Box;
    /** Calls the listener when that has changed and has come to rest. */
    onMove(listener: () => void): void;
    /** Goes to a device. */
    show(device: Device): void;
    /** Makes all devices visible. */
    fitAll(): void;
  };
  /** Shows the server a token. `keep`: for as long as the tab is open, also when the page is loaded again. */
  giveToken(token: string, keep: boolean): void;
  /** Why there is no map, where there is none. */
  readonly noMap: string | undefined;
}

/** The panel. */
export interface Panel {
  /** Something of the map for people to know, such as a style that did not load; undefined takes it back. */
  notice(text: string | undefined): void;
  /** Removes everything. */
  close(): void;
}
