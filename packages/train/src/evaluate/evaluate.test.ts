import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { scoreTable } from '../scores/score-table.js';
import type { ScoredTrace } from '../scores/scored-trace.js';
import { sampleScoredTrace } from '../scores/scored-trace.test.support.js';
import { describeEvaluation } from './describe.js';
import { evaluate, type VoteFigures } from './evaluate.js';

/** Made by tools/oracles/votes.py. */
const { options, traces, expected } = JSON.parse(
  readFileSync(new URL('./fixtures/votes.json', import.meta.url), 'utf8'),
);

/** Compares the figures wherever they stand in the tree. Returns how many there are. */
function expectClose(actual: unknown, expected: unknown, path: string): number {
  if (typeof expected === 'object' && expected !== null) {
    const entries = Object.entries(expected);
    return entries.reduce((sum, [key, value]) => {
      return sum + expectClose((actual as Record<string, unknown>)[key], value, `${path}.${key}`);
    }, 0);
  }
  if (typeof expected === 'number') {
    expect(Math.abs(Number(actual) - expected), `${path}: ${actual}, expected ${expected}`).toBeLessThan(1e-9);
  } else {
    expect(actual, path).toBe(expected);
  }
  return 1;
}

test('every figure and every interval equals the plain Python reference', async () => {
  expect(expectClose(await evaluate(scoreTable(traces), options), expected, '')).toBeGreaterThan(400);
});

test('without --n it takes the powers of two below the largest number of traces, and all', async () => {
  const { n } = await evaluate(scoreTable(traces), { resamples: 2, subsets: 2 });
  expect(Object.keys(n)).toEqual(['1', '2', '4', '8', 'all']);
});

test('the oracle never falls as more traces vote, because subsets are nested', async () => {
  const { n } = await evaluate(scoreTable(traces), { n: [1, 2, 3, 5, 8, 'all'], resamples: 2, subsets: 5 });
  const oracle = Object.values(n).map(({ oracle }) => oracle.value!);
  expect(oracle).toEqual([...oracle].sort((a, b) => a - b));
});

test('a size that no question exceeds gives what all traces give', async () => {
  const { n } = await evaluate(scoreTable(traces), { n: [12, 100, 'all'], resamples: 20, subsets: 2 });
  expect(n['12']).toEqual(n.all);
  expect(n['100']).toEqual(n.all);
});

test('where each question has one trace there is nothing to choose, and no rank to speak of', async () => {
  const single = ['a', 'b', 'c'].map((question, i) =>
    sampleScoredTrace({ question, is_correct: i === 0, score: 0.2 * i, step_scores: [0.2 * i] }),
  );
  const evaluation = await evaluate(scoreTable(single), { resamples: 50 });
  expect(Object.keys(evaluation.n)).toEqual(['1', 'all']);
  for (const figures of Object.values(evaluation.n)) {
    expect(figures.weighted_minus_majority).toEqual({ value: 0, ci95: [0, 0] });
    expect(figures.oracle).toEqual(figures.single);
  }
  expect(evaluation.auc.pooled.value).toBe(0);
  expect(evaluation.auc.within_question).toEqual({ value: null, ci95: null });
  expect(evaluation.aggregation).toBeNull();
  expect(describeEvaluation(evaluation)).toMatch(/^score +0\.000 ±[\d.]+ +– +–$/m);
});

test('a scorer that knows the label makes every pick right that can be', async () => {
  const knowing = traces.map((trace: ScoredTrace) =>
    trace.score === null ? { ...trace, is_correct: false } : { ...trace, score: Number(trace.is_correct) },
  );
  const { n, auc, calibration } = await evaluate(scoreTable(knowing), { resamples: 2, subsets: 20 });
  for (const { best_of_n, oracle } of Object.values(n)) expect(best_of_n.value).toBe(oracle.value);
  expect(auc).toMatchObject({ pooled: { value: 1 }, within_question: { value: 1 }, rank_accuracy: { value: 1 } });
  expect(calibration.ece.value).toBe(0);
});

test('the table shows each figure with half the width of its interval, and differences with both ends', async () => {
  const evaluation = await evaluate(scoreTable(traces), { ...options, n: [2, 'all'] });
  const lines = describeEvaluation(evaluation).split('\n');
  const { majority, weighted_minus_majority } = evaluation.n['2'] as VoteFigures;
  const half = (majority.ci95![1] - majority.ci95![0]) / 2;
  expect(lines.find((line) => line.startsWith('N = 2'))).toContain(`${majority.value!.toFixed(3)} ±${half.toFixed(3)}`);
  const difference = lines.slice(lines.findIndex((line) => line.startsWith('minus the majority')))[1]!;
  expect(weighted_minus_majority.value).toBeLessThan(0);
  expect(difference).toContain(`−${(-weighted_minus_majority.value!).toFixed(3)} [−`);
  const widths = lines.filter((line) => line.startsWith('N = ')).map((line) => line.length);
  expect(new Set(widths).size).toBe(3);
});

test.each([{ n: [0] }, { n: [] }, { top: 0 }, { subsets: 1.5 }])('%j is refused', async (wrong) => {
  await expect(evaluate(scoreTable(traces), wrong)).rejects.toMatchObject({ code: 'BAD_OPTION', kind: 'usage' });
});

test.each([{ subsets: 1e8 }, { resamples: 1e12 }])(
  '%j is refused: it would take hours or gigabytes',
  async (option) => {
    const table = scoreTable([sampleScoredTrace({ score: 0.1 })]);
    await expect(evaluate(table, option)).rejects.toMatchObject({ code: 'BAD_OPTION', kind: 'usage' });
  },
);
