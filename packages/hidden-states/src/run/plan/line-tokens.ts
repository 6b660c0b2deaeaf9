const KEY = Buffer.from('"extracted_position"');
const [OPEN, CLOSE, COMMA] = Buffer.from('[],');

/**
 * How many tokens of a step record are computed, those up to its last step end, read off the line's bytes: a plan of
 * gigabytes need not parse them. 0 for a line that is no step record.
 */
export function lineTokens(line: Uint8Array): number {
  // Within the text of a record the key's quotes are escaped.
  const bytes = Buffer.from(line.buffer, line.byteOffset, line.length);
  const key = bytes.lastIndexOf(KEY);
  const open = key === -1 ? -1 : bytes.indexOf(OPEN!, key);
  const close = open === -1 ? -1 : bytes.indexOf(CLOSE!, open);
  if (close === -1) return 0;
  const positions = bytes.subarray(open + 1, close);
  const last = positions.subarray(positions.lastIndexOf(COMMA!) + 1).toString('latin1');
  return /^\s*\d{1,9}\s*$/.test(last) ? Number(last) + 1 : 0;
}
