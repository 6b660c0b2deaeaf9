import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomStream } from '@scorer/core/random';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { describeRun, runJson } from './commands/describe-run.js';
import { type SampleTrace, writeShard } from './sample-shards.test.support.js';
import { scoreTraces } from './scores/score-traces.js';
import type { ScoredTrace } from './scores/scored-trace.js';
import { type TrainOptions, train } from './train.js';

const SHAPE = { layers: [1], hiddenSize: 4 };
const STEPS = 6;

/** Traces whose rows lean to the label of their step; the third step has none, and a trace is right at random. */
function labelledTraces(count: number, seed: number): SampleTrace[] {
  const random = randomStream(seed, 'labelled traces');
  return Array.from({ length: count }, (_, i) => {
    const firstError = random.below(STEPS + 2);
    const stepLabels = Array.from({ length: STEPS }, (_, step) => (step === 2 ? -1 : Number(step < firstError)));
    const rows = stepLabels.map((label) =>
      Float32Array.from({ length: 4 }, (_, d) => random.uniform() - 0.5 + (d === 0 ? label : 0)),
    );
    return {
      question: `question ${i % 12}`,
      isCorrect: random.uniform() < 0.5,
      states: new Map([[1, rows]]),
      stepLabels,
    };
  });
}
const TRACES = labelledTraces(60, 1);
const labelled = (traces: readonly SampleTrace[]): number[] =>
  traces.flatMap(({ stepLabels = [] }) => stepLabels.filter((label) => label !== -1));

let shards: string;
let other: string;
beforeAll(async () => {
  shards = await mkdtemp(join(tmpdir(), 'shards-'));
  other = await mkdtemp(join(tmpdir(), 'shards-'));
  const unlabelled = labelledTraces(2, 2).map(({ stepLabels: _, ...trace }) => trace);
  await writeShard(join(shards, 'a.safetensors'), [...TRACES.slice(0, 40), ...unlabelled], SHAPE);
  await writeShard(join(shards, 'b.safetensors'), TRACES.slice(40), SHAPE);
  await writeShard(join(other, 'v.safetensors'), labelledTraces(20, 3), SHAPE);
});
afterAll(() => Promise.all([shards, other].map((folder) => rm(folder, { recursive: true }))));

let outDir: string;
beforeEach(async () => {
  outDir = await mkdtemp(join(tmpdir(), 'train-'));
});
afterEach(() => rm(outDir, { recursive: true }));

const options = (more: Partial<TrainOptions> = {}): TrainOptions => ({
  trainDir: shards,
  outDir,
  configName: 'run',
  hiddenUnits: 8,
  lr: 1e-2,
  batchSize: 32,
  epochs: 6,
  device: 'cpu',
  ...more,
});
const config = async (): Promise<object> =>
  JSON.parse(await readFile(join(outDir, 'checkpoints/run/config.json'), 'utf8'));

describe('labels of steps', () => {
  test('are what is learnt, weighed and validated where the shards have them', async () => {
    const result = await train(options());
    const { train: trained, validation } = result.split;
    const labels = labelled(TRACES);
    expect(trained.steps + validation.steps).toBe(labels.length);
    expect(trained.positives + validation.positives).toBe(labels.filter((label) => label === 1).length);
    expect(result.config.pos_weight).toBeCloseTo((trained.steps - trained.positives) / trained.positives, 12);
    expect(result.best.auc).toBeGreaterThan(0.9);
    // The two traces without a labelled step.
    expect(result.tracesWithoutSteps).toBe(2);
    expect(await config()).toMatchObject({ labels: 'steps' });
    expect(runJson(result)).toMatchObject({ labels: 'steps' });
    expect(describeRun(result)).toMatch(/^learnt +labels of the steps in the shards$/m);
  });

  test('are passed over where that is asked for', async () => {
    const result = await train(options({ stepLabels: 'ignore' }));
    expect(result.split.train.steps + result.split.validation.steps).toBe(62 * STEPS);
    // Whether a trace is right was drawn without regard to its rows.
    expect(result.best.auc).toBeLessThan(0.7);
    expect(await config()).not.toHaveProperty('labels');
    expect(runJson(result)).toMatchObject({ labels: 'traces' });
    expect(describeRun(result)).not.toMatch(/^learnt/m);
    await expect(train(options())).rejects.toMatchObject({ code: 'RUN_EXISTS' });
  });

  test('give way to those of a file', async () => {
    const labels = join(outDir, 'labels.jsonl');
    const lines = [42, 20].flatMap((count, shard) =>
      Array.from({ length: count }, (_, trace_index) => ({
        shard: ['a.safetensors', 'b.safetensors'][shard],
        trace_index,
        step_labels: [trace_index % 2, null, null, null, null, 1],
      })),
    );
    await writeFile(labels, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const result = await train(options({ labels, epochs: 1 }));
    expect(result.split.train.steps + result.split.validation.steps).toBe(2 * 62);
    expect(await config()).not.toHaveProperty('labels');
    expect(runJson(result)).toMatchObject({ labels: 'file' });
  });

  test('validate in a folder of its own too, and so do those of a file', async () => {
    const own = await train(options({ validationDir: other, epochs: 2 }));
    expect(own.split.validation.steps).toBe(20 * (STEPS - 1));
    expect(await config()).toMatchObject({ labels: 'steps', validation_labels: 'steps' });

    const labels = join(outDir, 'labels.jsonl');
    const linesOf = (shard: string, count: number, label: number) =>
      Array.from({ length: count }, (_, trace_index) => ({ shard, trace_index, label: (trace_index + label) % 2 }));
    const ofTrain = [...linesOf('a.safetensors', 42, 0), ...linesOf('b.safetensors', 20, 0)];
    const write = (lines: object[]) => writeFile(labels, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    await write([...ofTrain, ...linesOf('v.safetensors', 20, 0).map((line) => ({ ...line, label: 1 }))]);
    const both = await train(options({ validationDir: other, epochs: 1, labels, overwrite: 'replace' }));
    expect(both.split.validation).toMatchObject({ steps: 20 * STEPS, positives: 20 * STEPS });
    expect(await config()).toMatchObject({ validation_labels: 'file' });

    await write(ofTrain);
    const result = await train(options({ validationDir: other, epochs: 1, labels, overwrite: 'replace' }));
    expect(result.split.validation.steps).toBe(20 * (STEPS - 1));
    expect(await config()).toMatchObject({ validation_labels: 'steps' });
    expect(describeRun(result)).toMatch(
      /^learnt +labels from a file; validation by labels of the steps in the shards$/m,
    );
  });

  test('stand beside the scores', async () => {
    await train(options({ epochs: 1 }));
    const outputFile = join(outDir, 'scores.jsonl');
    const scorer = join(outDir, 'checkpoints/run');
    await scoreTraces({ scorer, inputDir: other, outputFile, device: 'cpu' });
    const traces = (await readFile(outputFile, 'utf8'))
      .trim()
      .split('\n')
      .map((line): ScoredTrace => JSON.parse(line));
    const expected = labelledTraces(20, 3).map(({ stepLabels }) => stepLabels!.map((l) => (l === -1 ? null : l)));
    expect(traces.map(({ step_labels }) => step_labels)).toEqual(expected);
    expect(Object.keys(traces[0]!).join()).toContain('step_scores,step_labels,score');
  });
});
