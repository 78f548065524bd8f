// The tables of the bench, as Markdown.

const ms = (value) => value.toFixed(value < 10 ? 1 : 0);
const row = (cells) => `| ${cells.join(" | ")} |`;

/** How many tasks were over 50 ms, and the longest of them. */
const long = (tasks) => (tasks.length === 0 ? "0" : `${tasks.length}, longest ${Math.round(Math.max(...tasks))} ms`);

/** What so many devices cost each subject. */
export function speeds(count, rows, skipped) {
  const lines = [`### ${count.toLocaleString("en")} devices`, ""];
  if (skipped > 0) lines.push(`The server did not keep up: ${skipped} positions were not posted.`, "");
  lines.push(
    row(["", "main thread, ms/s", "of that script", "style, layout", "main thread CPU, ms/s", "renderer CPU", "GPU process CPU", "long tasks at rest", "long tasks while panning", "first devices, ms", "heap MB", "process MB", "positions/s", "KB/s"]),
    row(["---", ...Array(13).fill("--:")]),
  );
  for (const { name, error, first, rest, panning, used } of rows) {
    if (error) lines.push(row([name, String(error.message).split("\n")[0], ...Array(12).fill("")]));
    else {
      lines.push(row([
        name, ms(rest.task), ms(rest.script), ms(rest.style), ms(rest.main), ms(rest.renderer), ms(rest.gpu), long(rest.long), long(panning), ms(first),
        used.heap.toFixed(1), used.process.toFixed(0), Math.round(rest.positions).toLocaleString("en"), (rest.bytes / 1000).toFixed(0),
      ]));
    }
  }
  return `${lines.join("\n")}\n`;
}

/** How many times as much main-thread time the others take as the page with reduced motion, which jumps as they do. */
export function comparison(rows) {
  const base = rows.find(({ name }) => name === "still") ?? rows[0];
  if (!base || base.error) return "";
  const others = rows.filter((other) => other !== base && !other.error);
  return others.length === 0 ? "" : `Main thread, as multiples of \`${base.name}\`: ${others.map(({ name, rest }) => `${name} ${(rest.task / base.rest.task).toFixed(1)}`).join(", ")}.\n`;
}

/** From navigation to the first devices. */
export function starts(rows) {
  return [
    "### From navigation to the first devices, 1,000 devices, nothing cached", "", row(["", "median, ms", "most, ms"]), row(["---", "--:", "--:"]),
    ...rows.map(({ name, median, most }) => row([name, ms(median), ms(most)])), "",
  ].join("\n");
}

/** Memory over time. */
export function flatness(count, samples) {
  const lines = [`### Memory of the page over time, ${count.toLocaleString("en")} devices`, "", row(["minute", "heap MB", "array buffers MB", "process MB"]), row(["--:", "--:", "--:", "--:"])];
  // Twelve rows at most.
  const every = Math.ceil(samples.length / 12);
  samples.forEach(({ at, heap, buffers, process }, index) => {
    if (index % every !== 0 && index !== samples.length - 1) return;
    lines.push(row([(at / 60).toFixed(1), heap.toFixed(1), buffers.toFixed(1), process.toFixed(0)]));
  });
  return `${lines.join("\n")}\n`;
}
