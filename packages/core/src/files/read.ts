import type { FileHandle } from 'node:fs/promises';
import { ScorerError } from '../errors/index.js';
import { onFile } from './system-error.js';

/** One read call returns at most 2 GiB less a page on Linux; a round number below it. */
const MAX_READ_BYTES = 1024 ** 3;

/**
 * Fills `into` with the bytes of a file from `position` on.
 * @throws ScorerError `FILE_TRUNCATED` when the file ends before that
 */
export async function readFully(handle: FileHandle, path: string, position: number, into: Uint8Array): Promise<void> {
  let done = 0;
  while (done < into.length) {
    const length = Math.min(into.length - done, MAX_READ_BYTES);
    const { bytesRead } = await onFile(path, () => handle.read(into, done, length, position + done));
    if (bytesRead === 0) {
      throw new ScorerError({
        code: 'FILE_TRUNCATED',
        what: `the file ends at byte ${position + done}, ${into.length - done} bytes early`,
        where: path,
        hint: 'it was cut while it was open; make or copy it again',
      });
    }
    done += bytesRead;
  }
}

/** A range of a file: `start` ≤ byte < `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Keeps a disk busy; two of these are held at a time. */
const PIECE_BYTES = 4 * 1024 ** 2;

/**
 * The bytes of ranges one after the other, in pieces of at most 4 MiB that lie in one range each and, but for a range's
 * last, have whole multiples of 8 bytes. The next piece is read while one is in use, and takes its place afterwards.
 * @param read fills `into` with the bytes from `position` on
 */
export async function* readRanges(
  ranges: Iterable<ByteRange>,
  read: (position: number, into: Uint8Array) => Promise<void>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const pieces = piecesOf(ranges);
  let buffers: [Uint8Array, Uint8Array] = [new Uint8Array(0), new Uint8Array(0)];

  function readNext(): Promise<Uint8Array> | undefined {
    const { value: piece } = pieces.next();
    if (!piece) return undefined;
    const [used, other] = buffers;
    const length = piece.end - piece.start;
    const buffer = used.length < length ? new Uint8Array(length) : used;
    buffers = [other, buffer];
    const reading = read(piece.start, buffer.subarray(0, length)).then(() => buffer.subarray(0, length));
    // Its failure is thrown when its turn comes.
    reading.catch(() => {});
    return reading;
  }

  let ahead = readNext();
  try {
    while (ahead) {
      const piece = await ahead;
      ahead = readNext();
      yield piece;
    }
  } finally {
    // The caller may close the file next.
    await ahead?.catch(() => {});
  }
}

function* piecesOf(ranges: Iterable<ByteRange>): Generator<ByteRange, undefined> {
  for (const { start, end } of ranges) {
    for (let from = start; from < end; from += PIECE_BYTES)
      yield { start: from, end: Math.min(from + PIECE_BYTES, end) };
  }
}
