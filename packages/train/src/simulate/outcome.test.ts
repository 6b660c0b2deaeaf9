import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { scoreTable } from '../scores/score-table.js';
import type { ScoredTrace } from '../scores/scored-trace.js';
import type { Rates } from './clock.js';
import { type Outcome, outcomesOf } from './outcome.js';
import { describePolicy } from './policy.js';
import { runTraces } from './stop.js';
import { timelines } from './timelines.js';

interface OracleTrace {
  length: number;
  steps: number[];
  scores: number[];
  answer: number;
  label: number;
  score: number | null;
  groups: (number | null)[];
  lowest: number | null;
}

interface Oracle {
  rates: Rates;
  questions: OracleTrace[][];
  outcomes: { policy: Parameters<typeof runTraces>[0]; questions: (Omit<Outcome, 'tokens'> & { spent: number[] })[] }[];
}

const { rates, questions, outcomes }: Oracle = JSON.parse(
  readFileSync(new URL('./fixtures/outcomes.json', import.meta.url), 'utf8'),
);

/** Generation begins here, so that tokens and positions differ. */
const PROMPT = 7;

const table = scoreTable(
  questions.flatMap((traces, question) =>
    traces.map(
      ({ length, steps, scores, answer, label, score, groups, lowest }, trace): ScoredTrace => ({
        shard: 'a.safetensors',
        trace_index: trace,
        question: `question ${question}`,
        ground_truth: '1',
        extracted_answer: answer < 0 ? null : String(answer),
        is_correct: label === 1,
        tokens: length === 0 ? 0 : PROMPT + length,
        ...(length > 0 && { prompt_tokens: PROMPT }),
        step_positions: steps.map((tokens) => PROMPT + tokens - 1),
        step_scores: scores,
        score,
        ...(lowest !== null && { confidence: { lowest_group: lowest, step_groups: groups } }),
      }),
    ),
  ),
);
const lines = timelines(table, 0);
const outcomeOf = outcomesOf(table, lines, rates);

function spentUnder(policy: Parameters<typeof runTraces>[0], question: number): Uint32Array {
  const [first, end] = [table.traceOffsets[question]!, table.traceOffsets[question + 1]!];
  const spent = new Uint32Array(end - first);
  runTraces(policy, lines, { first, end }, spent);
  return spent;
}

describe('policies, beside a clock in Python that adds token by token', () => {
  it.each(outcomes.map(({ policy, questions }) => [describePolicy(policy), policy, questions] as const))(
    '%s',
    (_, policy, expected) => {
      for (const [question, { spent, seconds, majority, weighted }] of expected.entries()) {
        expect([...spentUnder(policy, question)]).toEqual(spent);
        const outcome = outcomeOf(policy, question);
        expect(outcome.seconds).toBeCloseTo(seconds, 6);
        expect(outcome.tokens).toBe(spent.reduce((sum, tokens) => sum + tokens, 0));
        expect(outcome.majority).toBeCloseTo(majority, 9);
        expect(outcome.weighted).toBeCloseTo(weighted, 9);
      }
    },
  );
});

describe('sampling fewer traces', () => {
  it('is as right with one trace as one trace is, and spends its tokens', () => {
    const average = (measure: (question: number) => number): number =>
      questions.reduce((sum, _, question) => sum + measure(question), 0) / questions.length;
    const share = (question: number, measure: (trace: OracleTrace) => number): number =>
      questions[question]!.reduce((sum, trace) => sum + measure(trace), 0) / questions[question]!.length;
    const one = (question: number): Outcome => outcomeOf({ kind: 'fewer', traces: 1 }, question);
    expect(average((question) => one(question).majority)).toBeCloseTo(
      average((question) => share(question, ({ label }) => label)),
      1,
    );
    const tokens = average((question) => share(question, ({ length }) => length));
    expect(average((question) => one(question).tokens) / tokens).toBeCloseTo(1, 1);
  });
});
