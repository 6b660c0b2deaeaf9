import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { countLines } from './lines.js';
import { MAX_ZSTD_WINDOW_BYTES, zstdWindowCheck } from './zstd-window.js';

/** 8,000 lines in several frames with several blocks, by the zstd command. */
const GOOD = readFileSync(fileURLToPath(new URL('fixtures/numbers.jsonl.zst', import.meta.url)));

const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
const LAST_RAW_BLOCK = [0x09, 0, 0, 0x78];

/** Window descriptor: 2^(10 + exponent), and eighths of it. */
const window = (exponent: number, eighths = 0) => Buffer.from([...MAGIC, 0x00, (exponent << 3) | eighths]);

function singleSegment(size: bigint, flag: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(size);
  return Buffer.concat([Buffer.from([...MAGIC, (flag << 6) | 0x20]), bytes.subarray(0, [1, 2, 4, 8][flag])]);
}

const outcome = (data: Uint8Array, chunkBytes = 1024): string => {
  const check = zstdWindowCheck('x.zst');
  try {
    for (let at = 0; at < data.length; at += chunkBytes) check(data.subarray(at, at + chunkBytes));
    return 'accepted';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('a zstd frame is refused before it is decoded', () => {
  test.each([
    ['with a window of 2 GiB', window(21)],
    ['with a window of 3.75 TiB, the largest there is', window(31, 7)],
    ['with a window of an eighth more than the limit', window(17, 1)],
    ['of one segment with 4 GiB', singleSegment(2n ** 32n - 1n, 2)],
    ['of one segment with 2^64 - 1 bytes', singleSegment(2n ** 64n - 1n, 3)],
    ['that stands behind a good one', Buffer.concat([GOOD, window(21)])],
    ['behind one that decoders leave out', Buffer.from([0x5f, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9, ...window(21)])],
    [
      'behind one with a dictionary, a checksum and a run',
      Buffer.from([...MAGIC, 0x07, 0, 1, 2, 3, 4, 0x0b, 0, 1, 0x78, 1, 2, 3, 4, ...window(21)]),
    ],
  ])('%s', (_, data) => {
    for (const chunkBytes of [1, 7, 4096]) expect(outcome(data, chunkBytes)).toBe('ZSTD_WINDOW_TOO_LARGE');
  });

  test('by the reader of lines, which has not taken the memory', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zstd-'));
    const path = join(folder, 'x.jsonl.zst');
    await writeFile(path, Buffer.concat([GOOD, window(20), Buffer.from(LAST_RAW_BLOCK)]));
    const before = process.memoryUsage().arrayBuffers;
    await expect(countLines(path)).rejects.toMatchObject({ code: 'ZSTD_WINDOW_TOO_LARGE', where: path });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100e6);
    await rm(folder, { recursive: true });
  });
});

describe('a zstd file passes', () => {
  test.each([
    ['as the zstd command makes it', GOOD],
    ['with the largest window that is allowed', window(17)],
    ['of one segment of any size below', singleSegment(BigInt(MAX_ZSTD_WINDOW_BYTES), 2)],
    ['of one segment of 65,791 bytes, the most for two bytes', singleSegment(65535n, 1)],
    ['cut or damaged anywhere: that is for the decoder to tell', GOOD.subarray(0, 1000)],
    ['that is none', Buffer.from('{"a": 1}')],
  ])('%s', (_, data) => {
    for (const chunkBytes of [1, 7, 4096]) expect(outcome(data, chunkBytes)).toBe('accepted');
  });
});
