// Ports: the two ends of what stands between the page and its feed, which is a worker in a browser. Messages are copied, and come at once.

import type { Command, Port, Report } from "../src/feed/messages.ts";

type End<Out, In> = Port<Out, In> & { sent: Out[] };

/** Both ends; each notes what was sent from it. */
export function ports(): { page: End<Command, Report>; feed: End<Report, Command> } {
  const page: End<Command, Report> = { sent: [], onmessage: null, postMessage: (command, transfer) => pass(page, feed, command, transfer) };
  const feed: End<Report, Command> = { sent: [], onmessage: null, postMessage: (report, transfer) => pass(feed, page, report, transfer) };
  return { page, feed };
}

function pass<Out, In>(from: End<Out, In>, to: Port<In, Out>, message: Out, transfer: Transferable[]): void {
  const data = structuredClone(message, { transfer });
  from.sent.push(data);
  to.onmessage?.({ data } as MessageEvent<Out>);
}
