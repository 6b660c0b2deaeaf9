import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTrainingData, type TrainingData } from './data/training-data.js';
import { comparison, judge, unbeaten } from './judgement.js';
import { trainOptionsSchema } from './options.js';
import { type SampleTrace, writeShard } from './sample-shards.test.support.js';

let path: string;
let data: TrainingData;

/** Right traces have 3 steps, wrong ones 5; each question has the same number of right traces as its number, of 4. */
beforeAll(async () => {
  path = await mkdtemp(join(tmpdir(), 'judgement-'));
  const traces = Array.from({ length: 80 }, (_, i): SampleTrace => {
    const question = i % 20;
    const isCorrect = Math.floor(i / 20) < question % 5;
    const steps = isCorrect ? 3 : 5;
    const states = new Map([[1, Array.from({ length: steps }, () => Float32Array.of(0, 1))]]);
    return { question: `${'long '.repeat(question % 5)}question ${question}`, isCorrect, states };
  });
  await writeShard(join(path, 'a.safetensors'), traces, { layers: [1], hiddenSize: 2 });
});
afterAll(() => rm(path, { recursive: true }));

async function judgeScores(split: 'question' | 'trace', score: (label: number, question: number) => number) {
  data = await openTrainingData(trainOptionsSchema.parse({ trainDir: path, split }));
  const { set, steps } = data.validation;
  const questions = Array.from(set.rows, (row) => {
    const trace = steps.offsets.findIndex((offset) => offset > steps.rows.indexOf(row)) - 1;
    return steps.questions[trace]!;
  });
  const scores = Float32Array.from(set.labels, (label, i) => score(label, questions[i]!));
  const judgement = await judge({ scores, labels: set.labels }, data);
  await data.close();
  return judgement;
}

test('a length that gives the answer away is seen, and so is a scorer that does no better', async () => {
  const judgement = await judgeScores('question', () => 0.5);
  expect(judgement.baselines.trace_length).toEqual({ pooled: 1, within_question: 1 });
  // Positions up to the third step tell nothing, the last two are of wrong traces alone.
  expect(judgement.baselines.step_position.pooled).toBeGreaterThan(0.6);
  expect(judgement.baselines.question_mean).toBeUndefined();
  expect(judgement).toMatchObject({ auc_within_question: 0.5, trace_auc: { pooled: 0.5, within_question: 0.5 } });
  const warnings = unbeaten(0.5, judgement);
  expect(warnings).toContain('trace length, AUC 1.0000');
  expect(warnings).toContain('trace length, AUC 1.0000 within questions');
  expect(comparison(0.5, judgement).map(({ name }) => name)).toEqual([
    'scorer',
    'scorer, mean of a trace',
    'trace length alone',
    'step position alone',
    'question length alone',
  ]);
});

test('a scorer that knows the question alone has a pooled AUC, and none within questions', async () => {
  const judgement = await judgeScores('trace', (_, question) => (question % 5) / 5);
  expect(judgement.trace_auc.pooled).toBeGreaterThan(0.7);
  expect(judgement.auc_within_question ?? 0.5).toBe(0.5);
  // Questions grow longer the easier they are, and are shared with training.
  expect(judgement.baselines.question_length.pooled).toBeGreaterThan(0.7);
  expect(judgement.baselines.question_mean!.pooled).toBeGreaterThan(0.7);
});

test('a perfect scorer beats all that is not perfect itself', async () => {
  const judgement = await judgeScores('question', (label) => 0.1 + 0.8 * label);
  expect(judgement).toMatchObject({
    auc_within_question: 1,
    average_precision: 1,
    trace_auc_by_fraction: { '0.25': { pooled: 1 }, '1': { pooled: 1, within_question: 1 } },
  });
  expect(judgement.brier).toBeCloseTo(0.01, 6);
  expect(judgement.calibration_error).toBeCloseTo(0.1, 6);
  expect(unbeaten(1, judgement)).toEqual(['trace length, AUC 1.0000', 'trace length, AUC 1.0000 within questions']);
});
