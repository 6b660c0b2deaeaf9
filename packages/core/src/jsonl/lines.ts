import { isUtf8 } from 'node:buffer';
import { ScorerError } from '../errors/index.js';
import { openBytes } from './source.js';

export interface ReadLinesOptions {
  signal?: AbortSignal | undefined;
  /** Longer lines are reported, not read; `MAX_LINE_BYTES` by default. */
  maxLineBytes?: number;
}

/**
 * A line without its terminator. `bytes` may be a view of a larger buffer: copy what is kept for long.
 * With `error` (`LINE_TOO_LONG`, `INVALID_UTF8`) the line can't be used; of a line that is too long `bytes` holds the
 * first `PREFIX_BYTES`.
 */
export type JsonlLine =
  | { line: number; bytes: Uint8Array; error?: undefined }
  | { line: number; bytes: Uint8Array; error: ScorerError };

/** A trace of 100,000 tokens is about 0.5 MB; a line of this size still parses in a second and fits many times over. */
export const MAX_LINE_BYTES = 64 * 1024 ** 2;

/** What is kept of a line that is too long, to show which it was. */
const PREFIX_BYTES = 1024;

const LF = 0x0a;
const CR = 0x0d;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * The lines of a file (or of stdin, `-`), split at LF or CRLF; blank ones too, so that line numbers hold. A BOM at the
 * start and a missing LF at the end make no difference. gzip and zstd are recognised by their first bytes.
 * @throws ScorerError `FILE_NOT_FOUND`, `GZIP_TRUNCATED`, `GZIP_CORRUPT`, `ZSTD_TRUNCATED`, `ZSTD_CORRUPT`,
 * `ZSTD_WINDOW_TOO_LARGE`, after the lines that stand before the damage
 */
export function readLines(path: string, options: ReadLinesOptions = {}): AsyncGenerator<JsonlLine, void, undefined> {
  return splitLines(openBytes(path, options.signal), path, options.maxLineBytes);
}

/** The lines of bytes that come in chunks of any size; `path` is for the errors. */
export async function* splitLines(
  chunks: AsyncIterable<Buffer>,
  path: string,
  maxLineBytes: number = MAX_LINE_BYTES,
): AsyncGenerator<JsonlLine, void, undefined> {
  let line = 0;
  /** What earlier chunks hold of the line, up to `maxLineBytes` and a piece, and how long it is so far. */
  let pieces: Buffer[] = [];
  let pending = 0;

  function keep(piece: Buffer): void {
    if (pending <= maxLineBytes) pieces.push(piece);
    pending += piece.length;
  }

  function finish(last: Buffer): JsonlLine {
    line += 1;
    const length = pending + last.length;
    if (pending === 0) return toLine(last, length);
    keep(last);
    const bytes = Buffer.concat(pieces);
    pieces = [];
    pending = 0;
    return toLine(bytes, length);
  }

  function toLine(raw: Buffer, length: number): JsonlLine {
    const start = line === 1 && raw.subarray(0, BOM.length).equals(BOM) ? BOM.length : 0;
    const end = raw[raw.length - 1] === CR ? raw.length - 1 : raw.length;
    const bytes = raw.subarray(start, Math.max(start, end));
    if (length > maxLineBytes) {
      const what = `the line has ${length} bytes, ${maxLineBytes} are allowed`;
      return {
        line,
        bytes: Buffer.from(bytes.subarray(0, PREFIX_BYTES)),
        error: lineError('LINE_TOO_LONG', what, path, line),
      };
    }
    if (!isUtf8(bytes)) {
      return { line, bytes, error: lineError('INVALID_UTF8', 'the line is not valid UTF-8', path, line) };
    }
    return { line, bytes };
  }

  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      yield finish(chunk.subarray(start, end));
      start = end + 1;
    }
    if (start < chunk.length) keep(chunk.subarray(start));
  }
  if (pending > 0) yield finish(Buffer.alloc(0));
}

/** Number of lines of a file, as `readLines` counts them. Throws as it does. */
export async function countLines(path: string, { signal }: { signal?: AbortSignal } = {}): Promise<number> {
  let lines = 0;
  let last = LF;
  for await (const chunk of openBytes(path, signal)) {
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, at + 1)) lines += 1;
    last = chunk[chunk.length - 1] ?? last;
  }
  return last === LF ? lines : lines + 1;
}

export function lineError(code: string, what: string, path: string, line: number): ScorerError {
  return new ScorerError({ code, what, where: `${path === '-' ? 'stdin' : path}:${line}` });
}
