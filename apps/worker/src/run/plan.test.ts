import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { planShards } from '@scorer/hidden-states';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type PlanOptions, planRun } from './plan.js';

let folder: string;
let inputPath: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plan-'));
  inputPath = join(folder, 'steps.jsonl');
});
afterEach(() => rm(folder, { recursive: true }));

const step = (...positions: number[]): string => JSON.stringify({ prompt: '', extracted_position: positions });

async function planOf(text: string, options: Partial<PlanOptions>) {
  await writeFile(inputPath, text);
  return planRun({ inputPath, start: 0, limit: { traces: 2 }, ...options });
}

test('shards are cut before the line that would take them past the limit of tokens', async () => {
  const lines = [step(9, 99), step(49), step(199), step(), 'not JSON', '', step(299), step(0)];
  const shards = await planOf(`${lines.join('\n')}\n`, { limit: { tokens: 200 } });
  expect(shards.map(({ start, end, records, tokens, steps }) => [start, end, records, tokens, steps])).toEqual([
    [0, 2, 2, 150, 3],
    [2, 6, 3, 200, 1],
    // A trace longer than the limit is a shard by itself.
    [6, 7, 1, 300, 1],
    [7, 8, 1, 1, 1],
  ]);
});

test.each([
  ['LF', '\n', ''],
  ['CRLF', '\r\n', ''],
  ['a BOM', '\n', '\ufeff'],
])('the bytes of each shard are known, with %s and without an end of the last line', async (_, newline, start) => {
  const lines = [step(1), step(2), '', step(3), step(4)];
  const text = start + lines.join(newline);
  const shards = await planOf(text, { start: 1 });
  const bytes = await readFile(inputPath);
  const pieces = shards.map(({ first_byte, end_byte }) => bytes.subarray(first_byte, end_byte).toString());
  expect(pieces).toEqual([`${lines[1]}${newline}${newline}`, `${lines[3]}${newline}${lines[4]}`]);
});

test('by lines, the shards are those of scorer-hidden-states', async () => {
  const text = `${[step(1), step(2), step(3), step(4), step(5)].join('\n')}\n`;
  const shards = await planOf(text, { start: 1, end: 4 });
  const whole = { inputPath, outputPath: 'x', start: 1, end: 4, shardSize: 2, part: { index: 0, count: 1 } };
  const same = ({ start, end, records, fingerprint }: (typeof shards)[number]) => ({
    start,
    end,
    records,
    fingerprint,
  });
  expect(shards.map(same)).toMatchObject((await planShards(whole)).shards.map(({ path, ...shard }) => shard));
});

test('a compressed file is refused, since nobody can begin in its middle', async () => {
  await expect(planRun({ inputPath: 'x.jsonl.gz', start: 0, limit: { traces: 1 } })).rejects.toMatchObject({
    code: 'COMPRESSED_INPUT',
    kind: 'usage',
  });
});
