import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openShardFolder } from '@scorer/core/shards';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SampleTrace, writeShard } from '../sample-shards.test.support.js';
import { type StepChoice, selectSteps, type TraceSteps } from './rows.js';

let path: string;
beforeAll(async () => {
  path = await mkdtemp(join(tmpdir(), 'rows-'));
  const trace = (question: string, isCorrect: boolean, regions: number[]): SampleTrace => ({
    question,
    isCorrect,
    regions,
    states: new Map([[1, regions.map((_, i) => Float32Array.of(i))]]),
  });
  const options = { layers: [1], hiddenSize: 1 };
  await writeShard(join(path, 'a.safetensors'), [trace('x', true, [0, 1, 1]), trace('y', false, [])], options);
  await writeShard(
    join(path, 'b.safetensors'),
    [trace('z', false, [0]), trace('x', false, Array(10).fill(1))],
    options,
  );
});
afterAll(() => rm(path, { recursive: true }));

async function select(choice: Partial<StepChoice>): Promise<TraceSteps> {
  const folder = await openShardFolder(path);
  try {
    return await selectSteps(folder, { regions: 'all', stepSampleRatio: 1, seed: 0, ...choice });
  } finally {
    await folder.close();
  }
}

test('all regions: every step, by trace, through the shards in order', async () => {
  const steps = await select({});
  expect([...steps.rows]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  expect([...steps.offsets]).toEqual([0, 3, 4, 14]);
  expect([...steps.labels]).toEqual([1, 0, 0]);
});

test('equal questions have equal numbers', async () => {
  const { questions, questionCount } = await select({});
  expect([...questions]).toEqual([0, 1, 0]);
  expect(questionCount).toBe(2);
});

test('reasoning: steps inside the prompt are left out, and traces without steps are counted', async () => {
  const steps = await select({ regions: 'reasoning' });
  expect([...steps.rows]).toEqual([1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  expect([...steps.labels]).toEqual([1, 0]);
  expect(steps.tracesWithoutSteps).toBe(2);
});

test('a ratio draws max(1, floor(T · ratio)) steps of each trace, by the seed', async () => {
  const steps = await select({ stepSampleRatio: 0.35 });
  expect([...steps.offsets]).toEqual([0, 1, 2, 5]);
  expect([...steps.rows]).toEqual([...steps.rows].sort((a, b) => a - b));
  expect(await select({ stepSampleRatio: 0.35 })).toEqual(steps);
  expect(await select({ stepSampleRatio: 0.35, seed: 1 })).not.toEqual(steps);
});
