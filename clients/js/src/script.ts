// For a <script> tag: `processor.ProcessorClient`.

import { ProcessorClient } from "./client.ts";

Object.assign(globalThis, { processor: { ProcessorClient } });
