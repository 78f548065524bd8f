// A CPU profile of the page's main thread: which functions cost most.

/** Samples for so many seconds; what each function took by itself, ms a second. Names are those that the bundler left. */
export async function profile({ cdp, page }, seconds) {
  await page.waitForTimeout(3000);
  await cdp.send("Profiler.enable");
  await cdp.send("Profiler.setSamplingInterval", { interval: 200 });
  await cdp.send("Profiler.start");
  await page.waitForTimeout(seconds * 1000);
  const { profile } = await cdp.send("Profiler.stop");
  const own = new Map(), nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  profile.samples.forEach((id, index) => {
    const { functionName, url, lineNumber, columnNumber } = nodes.get(id).callFrame;
    const key = `${functionName || "(anonymous)"} ${url.split("/").at(-1)}:${lineNumber + 1}:${columnNumber + 1}`;
    own.set(key, (own.get(key) ?? 0) + profile.timeDeltas[index] / 1000);
  });
  const top = [...own].sort((a, b) => b[1] - a[1]).slice(0, 40);
  return top.map(([name, ms]) => `${(ms / seconds).toFixed(2).padStart(8)}  ${name}`).join("\n");
}
