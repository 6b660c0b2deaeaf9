import { isAscii, isUtf8, transcode } from 'node:buffer';
import { ScorerError } from '../errors/index.js';
import { parseJson } from './json.js';
import { lineError, type ReadLinesOptions, readLines } from './lines.js';

/**
 * A line and its value, or the reason why it has none. `raw` is the line as text; of a line with an error, bytes that
 * are no UTF-8 stand as the lone surrogates U+DC80 to U+DCFF (Python's `surrogateescape`), so that nothing is lost.
 */
export type JsonlRecord =
  | { line: number; value: unknown; raw: string; error?: undefined }
  | { line: number; error: ScorerError; raw: string };

/**
 * The values of a JSONL file (or of stdin, `-`), one a line. Blank lines are skipped but counted. A line that can't be
 * read is handed out with its error (`LINE_TOO_LONG`, `INVALID_UTF8`, `NOT_JSON`, `LONE_SURROGATE`), and reading goes
 * on. Throws as `readLines` does.
 */
export async function* readJsonl(
  path: string,
  options: ReadLinesOptions = {},
): AsyncGenerator<JsonlRecord, void, undefined> {
  for await (const { line, bytes, error } of readLines(path, options)) {
    if (error) {
      yield { line, error, raw: decodeSurrogateEscape(bytes) };
      continue;
    }
    const raw = decodeUtf8(bytes);
    if (/^[ \t\r]*$/.test(raw)) continue;
    yield toRecord(line, raw, path);
  }
}

function toRecord(line: number, raw: string, path: string): JsonlRecord {
  try {
    return { line, value: parseJson(raw), raw };
  } catch (thrown) {
    if (!(thrown instanceof ScorerError)) throw thrown;
    return { line, error: lineError(thrown.code, thrown.message, path, line), raw };
  }
}

/** Text of valid UTF-8. One character beyond ASCII makes `toString('utf8')` twice as slow as the way by UTF-16. */
function decodeUtf8(bytes: Uint8Array): string {
  if (!isAscii(bytes)) return transcode(bytes, 'utf8', 'utf16le').toString('utf16le');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** Decodes UTF-8 and puts U+DC00 + byte for each byte that belongs to no character. */
function decodeSurrogateEscape(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let text = '';
  let start = 0;
  for (let at = 0; at < buffer.length; ) {
    const length = characterLength(buffer[at]!);
    if (isUtf8(buffer.subarray(at, at + length))) {
      at += length;
      continue;
    }
    text += buffer.toString('utf8', start, at) + String.fromCharCode(0xdc00 + buffer[at]!);
    at += 1;
    start = at;
  }
  return text + buffer.toString('utf8', start);
}

function characterLength(firstByte: number): number {
  if (firstByte < 0xc0) return 1;
  if (firstByte < 0xe0) return 2;
  return firstByte < 0xf0 ? 3 : 4;
}
