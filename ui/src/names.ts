// Names: what the ids of devices and the names of events may be (docs/wire.md).

/** Most bytes of UTF-8 that an id or a name has. */
export const MOST_BYTES = 128;

/** What is wrong with an id or a name, for people; undefined if nothing is. */
export function nameFault(name: string): string | undefined {
  if (name === "") return "It needs at least one character.";
  // A character has at least one byte: what is far too long is not encoded to be counted.
  if (name.length > MOST_BYTES || new TextEncoder().encode(name).length > MOST_BYTES) return `It is longer than ${MOST_BYTES} bytes.`;
  if (/[\p{Cc}\p{Cs}]/u.test(name)) return "It has characters that are not allowed (control characters).";
  return undefined;
}
