// Makes a PMTiles file of one vector tile, in which everything is land.

const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) | 128, ...varint(Math.floor(n / 128))]);
const field = (number: number, bytes: number[]) => [...varint(number * 8 + 2), ...varint(bytes.length), ...bytes];
const text = (value: string) => [...Buffer.from(value)];
const zigzag = (n: number) => varint(n < 0 ? -2 * n - 1 : 2 * n);

/** A Mapbox Vector Tile (version 2.1) with one square in the layer `earth`. */
function tile(): Buffer {
  const square = [9, ...zigzag(0), ...zigzag(0), 26, ...zigzag(4096), ...zigzag(0), ...zigzag(0), ...zigzag(4096), ...zigzag(-4096), ...zigzag(0), 15];
  const feature = [...varint(3 * 8), 3, ...field(4, square)];
  return Buffer.from(field(3, [...field(1, text("earth")), ...field(2, feature), ...varint(5 * 8), ...varint(4096), ...varint(15 * 8), 2]));
}

/** The file (PMTiles version 3), not compressed. */
export function pmtiles(layer = "earth"): Buffer {
  const data = tile(), metadata = Buffer.from(JSON.stringify({ attribution: "Somebody", vector_layers: [{ id: layer, fields: {} }] }));
  // One entry: tile 0, once, so many bytes, at the start.
  const directory = Buffer.from([1, 0, 1, ...varint(data.length), 1]);
  const header = Buffer.alloc(127);
  header.write("PMTiles", 0);
  header[7] = 3;
  const parts = [127, directory.length, 127 + directory.length, metadata.length, 0, 0, 127 + directory.length + metadata.length, data.length, 1, 1, 1];
  parts.forEach((value, index) => header.writeBigUInt64LE(BigInt(value), 8 + index * 8));
  // Clustered; neither directories nor tiles compressed; vector tiles; zoom 0 only; the whole world.
  header.set([1, 1, 1, 1, 0, 0], 96);
  [-180e7, -85e7, 180e7, 85e7].forEach((value, index) => header.writeInt32LE(value, 102 + index * 4));
  return Buffer.concat([header, directory, metadata, data]);
}
