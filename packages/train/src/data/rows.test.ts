import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openShardDataset } from '@scorer/core/shards';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SampleTrace, writeShard } from '../sample-shards.test.support.js';
import { type QuestionNumbers, type StepChoice, selectSteps, type TraceSteps } from './rows.js';

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

async function select(choice: Partial<StepChoice>, questionNumbers: QuestionNumbers = new Map()): Promise<TraceSteps> {
  const dataset = await openShardDataset(path);
  try {
    return await selectSteps(dataset, { regions: 'all', stepSampleRatio: 1, seed: 0, ...choice }, questionNumbers);
  } finally {
    await dataset.close();
  }
}

test('all regions: every step, by trace, through the shards in order', async () => {
  const steps = await select({});
  expect([...steps.rows]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  expect([...steps.offsets]).toEqual([0, 3, 4, 14]);
  expect([...steps.labels]).toEqual([1, 0, 0]);
});

test('equal questions have equal numbers', async () => {
  expect([...(await select({})).questions]).toEqual([0, 1, 0]);
});

test('folders can share the numbers of their questions', async () => {
  const numbers: QuestionNumbers = new Map([['w', 0]]);
  expect([...(await select({}, numbers)).questions]).toEqual([1, 2, 1]);
  expect([...numbers]).toEqual([
    ['w', 0],
    ['x', 1],
    ['z', 2],
  ]);
});

test('so many traces are drawn at random, and know their place in the folder', async () => {
  expect([...(await select({})).traces]).toEqual([0, 2, 3]);
  const drawn = new Set<string>();
  for (let seed = 0; seed < 20; seed++) {
    const { traces, offsets, tracesWithoutSteps } = await select({ maxTraces: 2, seed });
    expect(traces.length + tracesWithoutSteps).toBe(2);
    expect(offsets.length).toBe(traces.length + 1);
    drawn.add([...traces].join());
  }
  // All pairs of the four traces, of which the second has no step.
  expect([...drawn].sort()).toEqual(['0', '0,2', '0,3', '2', '2,3', '3']);
  expect(await select({ maxTraces: 9 })).toEqual(await select({}));
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
