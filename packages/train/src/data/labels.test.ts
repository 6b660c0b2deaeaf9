import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openShardDataset } from '@scorer/core/shards';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SampleTrace, writeShard } from '../sample-shards.test.support.js';
import { readLabels, type TraceLabels } from './labels.js';

let path: string;
beforeAll(async () => {
  path = await mkdtemp(join(tmpdir(), 'labels-'));
  const trace = (steps: number): SampleTrace => ({
    question: 'q',
    isCorrect: true,
    states: new Map([[1, Array.from({ length: steps }, () => Float32Array.of(0))]]),
  });
  await writeShard(join(path, 'a.safetensors'), [trace(2), trace(0)], { layers: [1], hiddenSize: 1 });
  await writeShard(join(path, 'b.safetensors'), [trace(3)], { layers: [1], hiddenSize: 1 });
});
afterAll(() => rm(path, { recursive: true }));

async function read(...lines: object[]): Promise<TraceLabels> {
  const file = join(path, 'labels.jsonl');
  await writeFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const dataset = await openShardDataset(path);
  try {
    return await readLabels(file, dataset);
  } finally {
    await dataset.close();
  }
}

const [A0, A1, B0] = [
  { shard: 'a.safetensors', trace_index: 0 },
  { trace_index: 1 },
  { shard: 'b.safetensors', trace_index: 0 },
];

test('labels go to all steps of a trace, or to each its own, in whatever order the lines come', async () => {
  const labels = await read({ ...B0, step_labels: [0, 0.5, 0.25] }, { ...A1, label: false }, { ...A0, label: 0.75 });
  expect([...labels.ofTraces]).toEqual([0.75, 0, 0.25]);
  expect([...labels.ofRows]).toEqual([0.75, 0.75, 0, 0.5, 0.25]);
  expect(labels.fingerprint).toMatch(/^[0-9a-f]{64}$/);
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
  ['a trace of a shard that is not there', 'LABEL_UNKNOWN_TRACE', [{ ...A0, shard: 'c.safetensors', label: 1 }]],
  ['an index that two shards have', 'LABEL_AMBIGUOUS', [{ trace_index: 0, label: 1 }]],
  ['a label above 1', 'LABEL_INVALID', [{ ...A0, label: 1.5 }]],
  ['no label at all', 'LABEL_INVALID', [A0]],
  ['both kinds of labels', 'LABEL_INVALID', [{ ...A0, label: 1, step_labels: [1, 1] }]],
  ['fewer labels than steps', 'LABEL_INVALID', [{ ...A0, step_labels: [1] }]],
])('%s: %s', async (_, code, lines) => {
  await expect(read(...lines)).rejects.toMatchObject({ code, kind: 'input' });
});
