import { expect, test } from 'vitest';
import { type ByteRange, readRanges } from './read.js';

const MIB = 1024 ** 2;

/** A file whose byte at each position is known, read with a log of what happens. */
function logged() {
  const log: string[] = [];
  const read = async (position: number, into: Uint8Array): Promise<void> => {
    log.push(`read ${position / MIB}`);
    await new Promise(setImmediate);
    for (let i = 0; i < into.length; i += MIB / 2) into[i] = ((position + i) / MIB) * 2;
  };
  return { log, read };
}

const range = (start: number, end: number): ByteRange => ({ start: start * MIB, end: end * MIB });

test('ranges come piece by piece with their own bytes, the next one read ahead', async () => {
  const { log, read } = logged();
  const seen: number[][] = [];
  for await (const piece of readRanges([range(1, 10), range(20, 20), range(15, 17.5)], read)) {
    log.push('use');
    // Time for the read ahead, which must not touch this piece.
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    seen.push([piece[0]! / 2, piece.length / MIB]);
  }
  expect(seen).toEqual([
    [1, 4],
    [5, 4],
    [9, 1],
    [15, 2.5],
  ]);
  expect(log).toEqual(['read 1', 'read 5', 'use', 'read 9', 'use', 'read 15', 'use', 'use']);
});

test('a read that fails is told in its turn, after the pieces before it', async () => {
  const seen: number[] = [];
  const read = async (position: number): Promise<void> => {
    if (position === 4 * MIB) throw new Error('broken');
  };
  const all = async () => {
    for await (const piece of readRanges([range(0, 9)], read)) seen.push(piece.length / MIB);
  };
  await expect(all()).rejects.toThrow('broken');
  expect(seen).toEqual([4]);
});

test('one who stops early waits for the read that is under way', async () => {
  let underWay = 0;
  const read = async (): Promise<void> => {
    underWay += 1;
    await new Promise(setImmediate);
    underWay -= 1;
  };
  for await (const _ of readRanges([range(0, 100)], read)) break;
  expect(underWay).toBe(0);
});
