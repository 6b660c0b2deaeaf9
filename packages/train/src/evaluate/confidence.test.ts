import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { type TraceConfidence, traceConfidence } from '../scores/confidence.js';
import { scoreTable } from '../scores/score-table.js';
import type { ScoredTrace } from '../scores/scored-trace.js';
import { sampleScoredTrace } from '../scores/scored-trace.test.support.js';
import { describeEvaluation } from './describe.js';
import { type Evaluation, evaluate } from './evaluate.js';

interface OracleTrace extends Partial<ScoredTrace> {
  prompt_tokens: number;
  step_positions: number[];
  step_scores: number[];
  logprobs: number[];
  confidences: number[];
}

/** Made by tools/oracles/deepconf.py. */
const { window, tail, traces, confidences, expected } = JSON.parse(
  readFileSync(new URL('./fixtures/deepconf.json', import.meta.url), 'utf8'),
) as { window: number; tail: number; traces: OracleTrace[]; confidences: (TraceConfidence | null)[]; expected: object };

const confidenceOf = ({ prompt_tokens, step_positions, ...tokens }: OracleTrace) =>
  traceConfidence(
    { logprobs: Float32Array.from(tokens.logprobs), confidences: Float32Array.from(tokens.confidences) },
    step_positions.map((position) => position + 1 - prompt_tokens),
    { window, tail },
  );

const scored = traces.map(({ logprobs, confidences: _, ...trace }) =>
  sampleScoredTrace({
    ...trace,
    tokens: trace.prompt_tokens + logprobs.length,
    score:
      trace.step_scores.length === 0
        ? null
        : trace.step_scores.reduce((sum, score) => sum + score, 0) / trace.step_scores.length,
  }),
);
const confident = scored.map((trace, i) => {
  const confidence = confidenceOf(traces[i]!);
  return { ...trace, ...(confidence && { confidence }) };
});

/** Compares the numbers wherever they stand in the tree; an accuracy stands in a figure's value. Returns how many. */
function expectClose(actual: unknown, expected: unknown, tolerance: number, path = ''): number {
  if (typeof expected === 'object' && expected !== null) {
    return Object.entries(expected).reduce(
      (sum, [key, value]) =>
        sum + expectClose((actual as Record<string, unknown>)[key], value, tolerance, `${path}.${key}`),
      0,
    );
  }
  const value = typeof actual === 'object' && actual !== null ? (actual as { value: unknown }).value : actual;
  if (expected === null) expect(value, path).toBeNull();
  else {
    const difference = Math.abs(Number(value) - Number(expected));
    expect(difference, `${path}: ${value}, expected ${expected}`).toBeLessThan(tolerance);
  }
  return 1;
}

test("DeepConf's confidences of traces, of their parts and of their steps equal its code's in plain Python", () => {
  let compared = 0;
  for (const [i, trace] of traces.entries()) {
    const actual = confidenceOf(trace);
    if (confidences[i] === null) {
      expect(actual).toBeUndefined();
      continue;
    }
    const { steps, step_groups, ...measures } = confidences[i]!;
    compared += expectClose(actual, measures, 1e-9);
    // Written with nine digits.
    compared += expectClose(actual, { steps, step_groups }, 1e-7);
    expect(Object.keys(actual!.by_fraction!)).toEqual(Object.keys(measures.by_fraction!));
  }
  expect(compared).toBeGreaterThan(1500);
});

describe('evaluate', () => {
  let evaluation: Evaluation;
  beforeAll(async () => {
    evaluation = await evaluate(scoreTable(confident), { n: ['all'], resamples: 20 });
  });

  test("has DeepConf's votes, best of N and ranks beside the scorer's, equal to plain Python", () => {
    const { scorer, measures } = evaluation.confidence!;
    const atAll = (value: unknown): unknown => {
      if (typeof value !== 'object' || value === null) return value;
      if ('all' in value) return value.all;
      return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, atAll(field)]));
    };
    expect(expectClose(atAll({ scorer: scorer.n, measures }), expected, 1e-9)).toBeGreaterThan(200);
    expect(evaluation.confidence!.traces).toBe(traces.length - 1);
  });

  test('says nothing new where no trace has a confidence, and moves nothing where some have', async () => {
    const without = await evaluate(scoreTable(scored), { n: ['all'], resamples: 20 });
    expect(without).not.toHaveProperty('confidence');
    const { confidence, ...others } = evaluation;
    expect(JSON.stringify(others)).toBe(JSON.stringify(without));
  });

  test('the table has a line for each measure, with its name', () => {
    const text = describeEvaluation(evaluation);
    const { n, auc } = evaluation.confidence!.measures.lowest_group!;
    const [row, ranks] = text.split('\n').filter((line) => line.startsWith('lowest group '));
    expect(row).toContain(n.all!.top10_filtered.value!.toFixed(3));
    expect(ranks).toContain(auc.within_question.value!.toFixed(3));
    expect(text).toContain('score + mean log-prob.');
    expect(text).toMatch(/^score − lowest group {2}/m);
  });

  test('takes the measures that a file has', async () => {
    const table = scoreTable(
      confident.map(({ confidence, ...trace }, i) =>
        i % 2 === 0 && confidence?.mean !== undefined ? { ...trace, confidence: { mean: confidence.mean } } : trace,
      ),
    );
    const { confidence } = await evaluate(table, { n: ['all'], resamples: 2 });
    expect(Object.keys(confidence!.measures)).toEqual(['mean']);
    expect(confidence!.traces).toBeLessThan(traces.length / 2 + 1);
    expect(confidence!.measures.mean!.auc_by_fraction['0.5']!.pooled.value).toBeNull();

    const stepsAlone = confident.map((trace) => ({ ...trace, confidence: { steps: trace.step_scores } }));
    const evaluation = await evaluate(scoreTable(stepsAlone), { n: ['all'], resamples: 2 });
    expect(evaluation.confidence).toMatchObject({ traces: 0, measures: {} });
    expect(describeEvaluation(evaluation)).toContain('0 traces with a confidence');
  });
});
