import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openShardDataset } from '@scorer/core/shards';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SampleTrace, writeShard } from '../sample-shards.test.support.js';
import { type LabelFile, readLabels } from './labels.js';

let path: string;
let otherPath: string;
beforeAll(async () => {
  path = await mkdtemp(join(tmpdir(), 'labels-'));
  otherPath = await mkdtemp(join(tmpdir(), 'labels-'));
  const trace = (steps: number): SampleTrace => ({
    question: 'q',
    isCorrect: true,
    states: new Map([[1, Array.from({ length: steps }, () => Float32Array.of(0))]]),
  });
  await writeShard(join(path, 'a.safetensors'), [trace(2), trace(0)], { layers: [1], hiddenSize: 1 });
  await writeShard(join(path, 'b.safetensors'), [trace(3)], { layers: [1], hiddenSize: 1 });
  await writeShard(join(otherPath, 'c.safetensors'), [trace(1), trace(2)], { layers: [1], hiddenSize: 1 });
});
afterAll(() => Promise.all([path, otherPath].map((folder) => rm(folder, { recursive: true }))));

async function read(...lines: object[]): Promise<LabelFile> {
  const file = join(path, 'labels.jsonl');
  await writeFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const [dataset, other] = await Promise.all([path, otherPath].map((folder) => openShardDataset(folder)));
  try {
    return await readLabels(file, dataset!, other);
  } finally {
    await Promise.all([dataset!.close(), other!.close()]);
  }
}

const [A0, A1, B0] = [
  { shard: 'a.safetensors', trace_index: 0 },
  { trace_index: 1 },
  { shard: 'b.safetensors', trace_index: 0 },
];

test('labels go to all steps of a trace, or to each its own, in whatever order the lines come', async () => {
  const { labels, validation, fingerprint } = await read(
    { ...B0, step_labels: [0, 0.5, 0.25] },
    { ...A1, label: false },
    { ...A0, label: 0.75 },
  );
  expect([...labels.ofTraces]).toEqual([0.75, 0, 0.25]);
  expect([...labels.ofRows]).toEqual([0.75, 0.75, 0, 0.5, 0.25]);
  expect(validation).toBeUndefined();
  expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
});

test('a step whose label is null has none, and its trace the mean of the others', async () => {
  const { labels } = await read({ ...B0, step_labels: [1, null, 0.5] }, { ...A1, label: 1 }, { ...A0, label: 1 });
  expect([...labels.ofTraces]).toEqual([1, 1, 0.75]);
  expect([...labels.ofRows]).toEqual([1, 1, 1, -1, 0.5]);
});

test('one file labels the folder to validate on as well', async () => {
  const [C0, C1] = [0, 1].map((trace_index) => ({ shard: 'c.safetensors', trace_index }));
  const { labels, validation } = await read({ ...C1, step_labels: [0, 1] }, ...WHOLE, { ...C0, label: 0.25 });
  expect([...labels.ofTraces]).toEqual([1, 0, 1]);
  expect([...validation!.ofRows]).toEqual([0.25, 0, 1]);
  await expect(read(...WHOLE, { ...C0, label: 1 })).rejects.toMatchObject({ code: 'LABEL_MISSING' });
});

const WHOLE = [
  { ...A0, label: 1 },
  { ...A1, label: 0 },
  { ...B0, label: 1 },
];

test.each<[string, string, object[]]>([
  ['a trace without label', 'LABEL_MISSING', WHOLE.slice(0, 2)],
  ['a second label', 'LABEL_REPEATED', [...WHOLE, WHOLE[0]!]],
  ['a trace that is in no shard', 'LABEL_UNKNOWN_TRACE', [...WHOLE, { trace_index: 7, label: 1 }]],
  ['a trace of a shard that is not there', 'LABEL_UNKNOWN_TRACE', [{ ...A0, shard: 'd.safetensors', label: 1 }]],
  ['an index that two shards have', 'LABEL_AMBIGUOUS', [{ trace_index: 0, label: 1 }]],
  ['a label above 1', 'LABEL_INVALID', [{ ...A0, label: 1.5 }]],
  ['no label at all', 'LABEL_INVALID', [A0]],
  ['both kinds of labels', 'LABEL_INVALID', [{ ...A0, label: 1, step_labels: [1, 1] }]],
  ['fewer labels than steps', 'LABEL_INVALID', [{ ...A0, step_labels: [1] }]],
])('%s: %s', async (_, code, lines) => {
  await expect(read(...lines)).rejects.toMatchObject({ code, kind: 'input' });
});
