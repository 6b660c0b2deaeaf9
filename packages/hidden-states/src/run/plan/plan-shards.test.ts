import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { extract } from '../extract.js';
import { planShards, type RangeOptions } from './plan-shards.js';

const MODEL = fileURLToPath(new URL('../../../../../apps/demo/data/model', import.meta.url));
const STEPS = fileURLToPath(new URL('../fixtures/steps.jsonl', import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plan-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function rangesOf(options: Partial<RangeOptions>): Promise<number[][]> {
  const inputPath = join(folder, 'steps.jsonl');
  await writeFile(inputPath, 'a\nbb\n\nc\nddd\n');
  const whole = { inputPath, outputPath: 'hs/x', start: 0, shardSize: 1000, part: { index: 0, count: 1 } };
  const { shards } = await planShards({ ...whole, ...options });
  return shards.map(({ start, end, records }) => [start, end, records]);
}

test('a shard ends when it is full, or where the caller begins another', async () => {
  expect(await rangesOf({ shardSize: 2, start: 1 })).toEqual([
    [1, 3, 1],
    [3, 5, 2],
  ]);
  const isLong = (line: Uint8Array): boolean => line.length > 1;
  expect(await rangesOf({ startsShard: isLong })).toEqual([
    [0, 1, 1],
    [1, 4, 2],
    [4, 5, 1],
  ]);
  expect(await rangesOf({ startsShard: isLong, shardSize: 2 })).toEqual([
    [0, 1, 1],
    [1, 3, 1],
    [3, 4, 1],
    [4, 5, 1],
  ]);
});

test('a range without a line is refused with what it asks for', async () => {
  const refused = (what: string) => expect.objectContaining({ code: 'EMPTY_RANGE', what });
  await expect(rangesOf({ start: 5 })).rejects.toEqual(refused('no line from 5 on (the file has 5)'));
  await expect(rangesOf({ start: 3, end: 2 })).rejects.toEqual(refused('no line from 3 to 2'));
});

test('a piece of a file, its first line named, gives the shard that the file gives', async () => {
  const range = { model: MODEL, device: 'cpu' as const, start: 2, end: 4 };
  const [whole] = (await extract({ ...range, inputPath: STEPS, outputPath: join(folder, 'whole') })).shards;

  const piece = join(folder, 'piece.jsonl');
  const lines = (await readFile(STEPS, 'utf8')).split('\n');
  await writeFile(piece, `${lines.slice(2, 5).join('\n')}\n`);
  const options = { ...range, inputPath: piece, firstLine: 2, outputPath: join(folder, 'piece') };
  const [part] = (await extract(options)).shards;
  expect(part!.path).toBe(join(folder, 'piece_hiddenstates_2_4.safetensors'));
  expect(await readFile(part!.path)).toEqual(await readFile(whole!.path));
});
