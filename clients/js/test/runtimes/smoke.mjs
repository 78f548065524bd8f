// What any runtime must do: connect, get a snapshot, see a position, be cut off, come back. Arguments: module, URL of the proxy.
const [module, url] = (globalThis.Deno?.args ?? process.argv.slice(2));
const { ProcessorClient } = await import(module);
const client = new ProcessorClient(url, { backoff: { first: 10, most: 20 }, linger: 10 });
const subscription = client.subscribe("event:smoke");
const once = (name) => new Promise((resolve) => { const off = subscription.on(name, (event) => { off(); resolve(event); }); });
const say = (text) => console.log(text);
say(`snapshot ${(await once("snapshot")).positions.length}`);
say(`position ${(await once("position")).device_id}`);
const again = once("snapshot");
say("cut");
await again;
for await (const { device_id, position } of subscription) {
  say(`iterated ${device_id} ${position.latitude}`);
  break;
}
client.close();
say(`closed ${client.state.name}`);
