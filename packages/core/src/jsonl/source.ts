import { createReadStream } from 'node:fs';
import { addAbortSignal, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { Decompress, type ZstdError, ZstdErrorCode } from 'fzstd';
import { ScorerError } from '../errors/index.js';
import { fileError } from '../files/index.js';
import { zstdWindowCheck } from './zstd-window.js';

type Chunks = AsyncGenerator<Buffer, void, undefined>;

/** Large enough that the calls cost nothing, small enough that many files can be open. */
const CHUNK_BYTES = 1024 ** 2;

/** 4 bytes of zstd can stand for 128 KiB, so what one push can bring forth is bounded through its size: 64 MiB. */
const ZSTD_PUSH_BYTES = 2 * 1024;

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/**
 * The bytes of a file or of stdin (`-`), decompressed where they are gzip or zstd. These are told by their first
 * bytes, which begin no JSON, and by the file's name, so that damage there is found.
 * @throws ScorerError `FILE_NOT_FOUND`, …, `GZIP_TRUNCATED`, `GZIP_CORRUPT`, `ZSTD_TRUNCATED`, `ZSTD_CORRUPT`,
 * `ZSTD_WINDOW_TOO_LARGE`
 */
export async function* openBytes(path: string, signal?: AbortSignal): Chunks {
  const { head, chunks } = await peek(readChunks(path, signal), ZSTD_MAGIC.length);
  if (path.endsWith('.gz') || startsWith(head, GZIP_MAGIC)) yield* gunzip(chunks, path);
  else if (path.endsWith('.zst') || startsWith(head, ZSTD_MAGIC)) yield* unzstd(chunks, path);
  else yield* chunks;
}

async function* readChunks(path: string, signal: AbortSignal | undefined): Chunks {
  const stream: Readable = path === '-' ? process.stdin : createReadStream(path, { highWaterMark: CHUNK_BYTES });
  if (signal) addAbortSignal(signal, stream);
  try {
    yield* stream as unknown as AsyncIterable<Buffer>;
  } catch (error) {
    signal?.throwIfAborted();
    throw fileError(error, path);
  }
}

/** The first bytes (fewer only where there are no more), and all chunks from the first on. */
async function peek(source: Chunks, bytes: number): Promise<{ head: Buffer; chunks: Chunks }> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < bytes) {
    const { value, done } = await source.next();
    if (done) break;
    head = head.length === 0 ? value : Buffer.concat([head, value]);
  }
  async function* chunks(): Chunks {
    if (head.length > 0) yield head;
    yield* source;
  }
  return { head, chunks: chunks() };
}

async function* gunzip(chunks: Chunks, path: string): Chunks {
  const unzipped = createGunzip({ chunkSize: CHUNK_BYTES });
  // Errors of either end arrive at the reader of `unzipped`.
  pipeline(Readable.from(chunks), unzipped).catch(() => {});
  try {
    yield* unzipped as unknown as AsyncIterable<Buffer>;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'Z_BUF_ERROR') throw damaged('GZIP_TRUNCATED', 'the gzip file is cut short', path, error);
    if (code === 'Z_DATA_ERROR') throw damaged('GZIP_CORRUPT', 'no gzip file, or a damaged one', path, error);
    throw error;
  }
}

async function* unzstd(chunks: Chunks, path: string): Chunks {
  let blocks: Uint8Array[] = [];
  const decompress = new Decompress((block) => void blocks.push(block));
  const checkWindows = zstdWindowCheck(path === '-' ? 'stdin' : path);

  function push(bytes: Uint8Array, { final }: { final: boolean }): Buffer[] {
    blocks = [];
    try {
      decompress.push(bytes, final);
    } catch (error) {
      const truncated = (error as Partial<ZstdError>).code === ZstdErrorCode.UnexpectedEOF;
      if (truncated) throw damaged('ZSTD_TRUNCATED', 'the zstd file is cut short', path, error);
      throw damaged('ZSTD_CORRUPT', 'no zstd file, or a damaged one', path, error);
    }
    return blocks.map((block) => Buffer.from(block.buffer, block.byteOffset, block.length));
  }

  let empty = true;
  for await (const chunk of chunks) {
    empty = false;
    for (let start = 0; start < chunk.length; start += ZSTD_PUSH_BYTES) {
      const piece = chunk.subarray(start, start + ZSTD_PUSH_BYTES);
      checkWindows(piece);
      yield* push(piece, { final: false });
    }
  }
  if (empty) throw damaged('ZSTD_TRUNCATED', 'the zstd file is empty', path, undefined);
  yield* push(new Uint8Array(0), { final: true });
}

function startsWith(bytes: Buffer, magic: Buffer): boolean {
  return bytes.subarray(0, magic.length).equals(magic);
}

function damaged(code: string, what: string, path: string, cause: unknown): ScorerError {
  const where = path === '-' ? 'stdin' : path;
  return new ScorerError({ code, what, where, hint: 'make or download it again', cause });
}
