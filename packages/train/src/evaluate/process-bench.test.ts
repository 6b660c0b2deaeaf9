import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { scoreTable } from '../scores/score-table.js';
import type { ScoredTrace } from '../scores/scored-trace.js';
import { sampleScoredTrace } from '../scores/scored-trace.test.support.js';
import { describeEvaluation } from './describe.js';
import { evaluate } from './evaluate.js';
import { bestThreshold, judgedTraces } from './process-bench.js';

interface OracleTrace {
  source: string;
  question: string;
  /** Index of the first wrong step, or -1. */
  label: number;
  scores: number[];
}

/** Made by tools/oracles/process_bench.py. */
const { traces, expected, best_f1 } = JSON.parse(
  readFileSync(new URL('./fixtures/process-bench.json', import.meta.url), 'utf8'),
) as { traces: OracleTrace[]; expected: Record<string, Record<string, unknown>>; best_f1: number };

/** Steps behind the first error have no label, as in ProcessBench. */
function scored({ source, question, label, scores }: OracleTrace, trace_index: number): ScoredTrace {
  return sampleScoredTrace({
    shard: `${source}_hiddenstates_0_1000.safetensors`,
    trace_index,
    question,
    is_correct: label === -1,
    score: Math.min(...scores),
    step_scores: scores,
    step_labels: scores.map((_, step) => (label === -1 || step < label ? 1 : step === label ? 0 : null)),
  });
}
const table = scoreTable(traces.map(scored));
const quick = { n: [1], resamples: 30, subsets: 2 };

/** A figure or a tree of them, without the intervals. */
function values(figures: unknown): unknown {
  if (typeof figures !== 'object' || figures === null) return figures;
  if ('ci95' in figures && 'value' in figures) return figures.value;
  return Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, values(value)]));
}

function closeTo(tree: unknown): unknown {
  if (typeof tree === 'number') return expect.closeTo(tree, 12);
  if (typeof tree !== 'object' || tree === null) return tree;
  return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, closeTo(value)]));
}

describe('ProcessBench', () => {
  test.each(Object.keys(expected))(
    'figures are those of its own evaluation at %s, in all and of each source',
    async (at) => {
      const { process_bench } = await evaluate(table, { ...quick, stepThreshold: Number(at) });
      expect(values(process_bench)).toMatchObject(closeTo(expected[at]) as object);
      expect(process_bench).toMatchObject({ threshold: Number(at), chosen_on: null, reported_on: 40, traces: 120 });
      const [low, high] = process_bench!.f1.ci95!;
      expect(low).toBeLessThan(process_bench!.f1.value!);
      expect(high).toBeGreaterThan(process_bench!.f1.value!);
    },
  );

  test('has no threshold that does better than the chosen one on the same traces', async () => {
    const stepThreshold = bestThreshold(judgedTraces(table, table.stepLabels!.values));
    const { process_bench } = await evaluate(table, { ...quick, stepThreshold });
    expect(process_bench!.f1.value).toBeCloseTo(best_f1, 12);
  });

  test('is reported on other questions than the threshold was chosen on', async () => {
    const evaluation = await evaluate(table, quick);
    const { process_bench } = evaluation;
    expect(process_bench).toMatchObject({ chosen_on: 20, reported_on: 20 });
    expect(process_bench!.traces).toBe(60);
    expect(process_bench!.threshold).toBeGreaterThan(0.3);
    expect(process_bench!.threshold).toBeLessThan(0.7);
    expect(describeEvaluation(evaluation)).toMatch(/^a step is taken for wrong below 0\.\d+, chosen on 20 questions/m);
    expect((await evaluate(table, quick)).process_bench).toEqual(process_bench);
    expect((await evaluate(table, { ...quick, seed: 1 })).process_bench!.f1).not.toEqual(process_bench!.f1);
  });

  test('is silent where no step has a label', async () => {
    const unlabelled = traces.map((trace, i) => ({ ...scored(trace, i), step_labels: undefined }));
    const evaluation = await evaluate(scoreTable(unlabelled), quick);
    expect(evaluation).not.toHaveProperty('process_bench');
    expect(describeEvaluation(evaluation)).not.toContain('first wrong step');
  });

  test('leaves out traces without labels, wherever they stand in the file', async () => {
    const refused = sampleScoredTrace({ shard: 'raw.rejects.jsonl', question: 'question 0', score: null });
    const mixed = scoreTable([refused, ...traces.map(scored), refused, sampleScoredTrace({ score: 0.1 })]);
    const options = { ...quick, stepThreshold: 0.5 };
    const [alone, among] = [await evaluate(table, options), await evaluate(mixed, options)];
    expect(values(among.process_bench)).toEqual(values(alone.process_bench));
  });

  test('has no F1 where no trace has a wrong step, and takes 0.5', async () => {
    const right = traces.filter(({ label }) => label === -1).map(scored);
    const { process_bench } = await evaluate(scoreTable(right), quick);
    expect(process_bench).toMatchObject({ threshold: 0.5, chosen_on: null, wrong: 0, f1: { value: null, ci95: null } });
    expect(process_bench!.correct_accuracy.value).toBeGreaterThan(0);
  });

  test('takes a soft label below one half for wrong, and steps without a label for nothing', async () => {
    const trace = sampleScoredTrace({ score: 0, step_scores: [0.9, 0.1, 0.8, 0.2], step_labels: [0.5, null, 1, 0.4] });
    const right = sampleScoredTrace({ score: 0.6, step_scores: [0.1, 0.6], step_labels: [null, 1] });
    const { process_bench } = await evaluate(scoreTable([trace, right]), { ...quick, stepThreshold: 0.5 });
    expect(values(process_bench)).toMatchObject({ wrong: 1, error_accuracy: 1, correct_accuracy: 1, f1: 1 });
  });
});
