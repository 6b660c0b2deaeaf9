import { describe, expect, it } from 'vitest';
import { scoreTable } from '../scores/score-table.js';
import type { ScoredTrace } from '../scores/scored-trace.js';
import { sampleScoredTrace } from '../scores/scored-trace.test.support.js';
import { simulateTable } from './simulate.js';

const PROMPT = 20;
const STEPS = 10;
const STEP_TOKENS = 10;

/** Right traces score 0.9 at each step, wrong ones 0.1: a scorer that knows. Wrong ones are the majority. */
function tracesOfAKnowingScorer(questions: number): ScoredTrace[] {
  return Array.from({ length: questions }, (_, question) =>
    Array.from({ length: 6 }, (_, trace) => {
      const isRight = trace < 2;
      return sampleScoredTrace({
        question: `question ${question}`,
        trace_index: 6 * question + trace,
        extracted_answer: isRight ? '1/2' : '7',
        is_correct: isRight,
        tokens: PROMPT + STEPS * STEP_TOKENS + 5,
        prompt_tokens: PROMPT,
        step_positions: Array.from({ length: STEPS }, (_, step) => PROMPT + STEP_TOKENS * (step + 1) - 1),
        step_scores: new Array(STEPS).fill(isRight ? 0.9 : 0.1),
        score: isRight ? 0.9 : 0.1,
      });
    }),
  ).flat();
}

describe('simulate', () => {
  it('stops the wrong traces at once where the scorer knows, and the vote turns right', async () => {
    const { nothingStopped, best, questions } = await simulateTable(scoreTable(tracesOfAKnowingScorer(20)));
    expect(questions).toEqual({ choosing: 10, reporting: 10 });
    expect(nothingStopped.majority.value).toBe(0);
    expect(nothingStopped.tokens.value).toBe(6 * 105);
    expect(best.majority.value).toBe(1);
    // Of two right ones one runs to its end at least, and nobody knows anything before the first step end.
    expect(best.tokens.value).toBeLessThanOrEqual(2 * 105 + 4 * STEP_TOKENS);
    expect(best.tokensSaved.value).toBeCloseTo(1 - best.tokens.value! / (6 * 105), 9);
  });

  it('chooses nothing that loses more than is allowed on the questions that it chooses on', async () => {
    // Scores that mislead: the right traces are the ones that look bad.
    const misleading = tracesOfAKnowingScorer(20).map((trace) => ({
      ...trace,
      is_correct: !trace.is_correct,
      extracted_answer: trace.is_correct ? '7' : '1/2',
    }));
    const { best, byKind, settings } = await simulateTable(scoreTable(misleading), { vote: 'majority', maxLoss: 0 });
    expect(Math.min(...settings.map(({ choosing }) => choosing.tokens))).toBeLessThan(best.tokens.value!);
    for (const { policy } of [best, ...Object.values(byKind)]) {
      const chosen = settings.find((setting) => setting.policy === policy)!;
      expect(chosen.choosing.majority).toBe(settings[0]!.choosing.majority);
    }
  });

  it('takes its thresholds, lengths and choice from one half alone: the other may hold anything', async () => {
    const traces = tracesOfAKnowingScorer(20);
    const plain = await simulateTable(scoreTable(traces));
    const questionsOfReporting = new Set(plain.reportingQuestions);
    const changed = traces.map((trace) =>
      questionsOfReporting.has(trace.question)
        ? { ...trace, is_correct: !trace.is_correct, step_scores: trace.step_scores.map((score) => score / 2) }
        : trace,
    );
    const other = await simulateTable(scoreTable(changed));
    expect(other.best.policy).toEqual(plain.best.policy);
    expect(other.best.majority).not.toEqual(plain.best.majority);
    expect(other.settings.map(({ policy, choosing }) => [policy, choosing])).toEqual(
      plain.settings.map(({ policy, choosing }) => [policy, choosing]),
    );
  });

  it('gives the same for the same seed, and other halves for another', async () => {
    const table = scoreTable(tracesOfAKnowingScorer(20));
    const [first, again, other] = await Promise.all([0, 0, 1].map((seed) => simulateTable(table, { seed })));
    expect(again).toEqual(first);
    expect(other!.reportingQuestions).not.toEqual(first!.reportingQuestions);
  });

  it('counts the prompt as generated where its length is not known, and says of how many traces', async () => {
    const traces = tracesOfAKnowingScorer(2).map(({ prompt_tokens: _, ...trace }) => trace);
    const { unknownPrompts, nothingStopped } = await simulateTable(scoreTable(traces));
    expect(unknownPrompts).toBe(12);
    expect(nothingStopped.tokens.value).toBe(6 * 125);
  });

  it('tries token confidence where the scores have it, and only there', async () => {
    const traces = tracesOfAKnowingScorer(20);
    const without = await simulateTable(scoreTable(traces));
    expect(Object.keys(without.byKind)).not.toContain('confidence');
    const refused = simulateTable(scoreTable(traces), { policies: ['confidence'] });
    await expect(refused).rejects.toMatchObject({ code: 'NO_CONFIDENCE', kind: 'input' });

    // The model doubts wrong traces from their second step on; the first two of each question are right.
    const groups = (isRight: boolean): number[] =>
      Array.from({ length: STEPS }, (_, step) => (isRight || step < 1 ? 9 : 3));
    const confident = traces.map((trace) => {
      const step_groups = groups(trace.is_correct);
      return { ...trace, confidence: { lowest_group: Math.min(...step_groups), step_groups } };
    });
    const { byKind, settings } = await simulateTable(scoreTable(confident));
    expect(byKind.confidence!.majority.value).toBe(1);
    expect(byKind.confidence!.tokens.value).toBe(2 * 105 + 4 * 2 * STEP_TOKENS);
    expect(settings.filter(({ policy }) => policy.kind !== 'confidence').map(({ policy }) => policy)).toEqual(
      without.settings.map(({ policy }) => policy),
    );
  });

  it('needs two questions', async () => {
    await expect(simulateTable(scoreTable(tracesOfAKnowingScorer(1)))).rejects.toMatchObject({
      code: 'TOO_FEW_QUESTIONS',
    });
  });

  it('stops on a signal', async () => {
    const table = scoreTable(tracesOfAKnowingScorer(4));
    await expect(simulateTable(table, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  });
});
