import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StepRecord } from '@scorer/core/schema';
import { openShard } from '@scorer/core/shards';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { extract } from '../extract.js';

const MODEL = fileURLToPath(new URL('../../../../../apps/demo/data/model', import.meta.url));
const STEPS = fileURLToPath(new URL('../fixtures/steps.jsonl', import.meta.url));

let folder: string;
let records: StepRecord[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'step-labels-'));
  records = (await readFile(STEPS, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
});
afterEach(() => rm(folder, { recursive: true }));

async function extracted(from: readonly object[], name: string) {
  const inputPath = join(folder, `${name}.jsonl`);
  await writeFile(inputPath, from.map((record) => `${JSON.stringify(record)}\n`).join(''));
  const outputPath = join(folder, name);
  const { shards } = await extract({ model: MODEL, inputPath, outputPath, device: 'cpu', maxFailures: { count: 1 } });
  return shards[0]!;
}

test('a shard has the labels of the steps, -1 where a step or a record has none', async () => {
  const [first, ...others] = records;
  const labels = first!.extracted_position.map((_, i) => [1, null, 0, 0.25][i % 4]!);
  const { path } = await extracted([{ ...first, step_labels: labels }, ...others], 'labelled');
  const shard = await openShard(path);
  const stored = [...(await shard.stepLabels())!];
  expect(stored.slice(0, labels.length)).toEqual(labels.map((label) => label ?? -1));
  expect(new Set(stored.slice(labels.length))).toEqual(new Set([-1]));
  await shard.close();
});

test('a record without labels gives the shard that it always gave', async () => {
  const plain = await extracted(records, 'plain');
  const unlabelled = await extracted(
    records.map((record) => ({ ...record, step_labels: record.extracted_position.map(() => null), kept: 1 })),
    'unlabelled',
  );
  const [a, b] = await Promise.all([plain, unlabelled].map(({ path }) => openShard(path)));
  expect(b!.hasStepLabels).toBe(false);
  expect(b!.metadata.data_sha256).toBe(a!.metadata.data_sha256);
  await Promise.all([a!.close(), b!.close()]);
});

test('a record with another number of labels than steps is a failed trace', async () => {
  const { failures, traces } = await extracted([{ ...records[0], step_labels: [1] }, ...records.slice(1)], 'short');
  expect({ failures, traces }).toEqual({ failures: 1, traces: records.length - 1 });
  const [failure] = JSON.parse(
    await readFile(join(folder, `short_hiddenstates_0_${records.length}.safetensors.failures.json`), 'utf8'),
  );
  expect(failure).toMatchObject({
    trace_index: 0,
    code: 'NOT_A_STEP_RECORD',
    reason: expect.stringContaining('step_labels'),
  });
});
