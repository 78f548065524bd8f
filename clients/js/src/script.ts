// For a <script> tag: `processor.ProcessorClient`.

import { ProcessorClient } from "./client.ts";

(globalThis as { processor?: object }).processor = { ProcessorClient };
