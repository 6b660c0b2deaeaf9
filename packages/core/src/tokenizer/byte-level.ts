/**
 * Byte-level BPE writes each byte as one printable character: the printable Latin-1 bytes as themselves, the others as
 * U+0100 and up, in order (GPT-2, `bytes_to_unicode`).
 */
const BYTE_OF_CHARACTER: ReadonlyMap<string, number> = new Map(
  (() => {
    const bytes = Array.from({ length: 256 }, (_, byte) => byte);
    const isPrintable = (byte: number) =>
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    const others = bytes.filter((byte) => !isPrintable(byte));
    return [
      ...bytes.filter(isPrintable).map((byte) => [String.fromCharCode(byte), byte] as const),
      ...others.map((byte, i) => [String.fromCharCode(0x100 + i), byte] as const),
    ];
  })(),
);

const encoder = new TextEncoder();
// A token may be half a character: like Rust's from_utf8_lossy, every broken sequence becomes one U+FFFD.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The bytes of a byte-level token; a token with a character outside the alphabet (an added one) stands for itself. */
function bytesOfToken(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = BYTE_OF_CHARACTER.get(character);
    if (byte === undefined) return encoder.encode(token);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/**
 * `decode` for byte-level tokenizers: bytes are joined before they become text, so characters split over tokens come
 * out whole. Linear in the number of ids. The bytes of all tokens lie in one block: a megabyte, where an array for each
 * of 150,000 tokens takes forty.
 * @param tokens token string of each id; an id without one decodes to nothing
 */
export function createByteLevelDecoder(tokens: readonly (string | undefined)[]): (ids: readonly number[]) => string {
  const pieces = Array.from(tokens, (token) => bytesOfToken(token ?? ''));
  const block = Buffer.concat(pieces);
  const starts = new Uint32Array(pieces.length + 1);
  for (const [id, piece] of pieces.entries()) starts[id + 1] = starts[id]! + piece.length;
  const bytesOf = (id: number): Uint8Array => block.subarray(starts[id] ?? 0, starts[id + 1] ?? 0);

  return (ids) => decoder.decode(Buffer.concat(ids.map(bytesOf)));
}
