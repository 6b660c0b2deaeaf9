import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { scoreTable } from '../scores/score-table.js';
import type { ScoredTrace } from '../scores/scored-trace.js';
import { sampleScoredTrace } from '../scores/scored-trace.test.support.js';
import { bestVotes, type Outcome, outcomeOf, rankTraces } from './votes.js';

/** A trace of one question by its answer (right where it is 1) and its score. */
type Vote = [answer: number | null, score: number | null];

const traceOf = ([answer, score]: Vote): ScoredTrace =>
  sampleScoredTrace({ extracted_answer: answer === null ? null : String(answer), is_correct: answer === 1, score });

function outcome(votes: readonly Vote[], { top = 0.5, traces = votes.map(traceOf) } = {}): Outcome<'filtered'> {
  const table = scoreTable(traces);
  const ranks = Uint32Array.from(traces.keys());
  return outcomeOf(rankTraces(table, 0, table.scores), ranks, [bestVotes('filtered', top)]);
}

describe('an outcome', () => {
  test('the score-weighted vote can overrule the majority', () => {
    expect(
      outcome([
        [2, 0.1],
        [2, 0.2],
        [1, 0.7],
      ]),
    ).toEqual({ single: 1 / 3, majority: 0, weighted: 1, best_of_n: 1, filtered: 0.5, oracle: 1 });
  });

  test('answers that tie have the same chance', () => {
    expect(
      outcome([
        [1, 0.5],
        [2, 0.5],
        [3, 0.5],
      ]),
    ).toMatchObject({ majority: 1 / 3, weighted: 1 / 3, best_of_n: 1 / 3, filtered: 1 / 3 });
  });

  test('sums of scores that differ by rounding alone tie', () => {
    expect(0.1 + 0.2).not.toBe(0.3);
    expect(
      outcome([
        [2, 0.1],
        [2, 0.2],
        [1, 0.3],
      ]),
    ).toMatchObject({ weighted: 0.5 });
  });

  test('a trace without an answer is a wrong sample and no vote', () => {
    expect(
      outcome([
        [null, null],
        [null, null],
        [1, 0.4],
      ]),
    ).toEqual({ single: 1 / 3, majority: 1, weighted: 1, best_of_n: 1, filtered: 1, oracle: 1 });
  });

  test('where nobody answers nobody is right', () => {
    expect(
      Object.values(
        outcome([
          [null, 0.5],
          [null, null],
        ]),
      ),
    ).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test('a missing score weighs nothing and ranks last; where all are missing the majority decides', () => {
    expect(
      outcome([
        [2, null],
        [2, null],
        [1, 0.01],
      ]),
    ).toMatchObject({ majority: 0, weighted: 1, best_of_n: 1 });
    expect(
      outcome([
        [1, null],
        [1, null],
        [2, null],
      ]),
    ).toMatchObject({ majority: 1, weighted: 1, best_of_n: 2 / 3, filtered: 1 });
  });

  test('the filtered vote keeps the best share of the votes, rounded up, and those that tie with the last', () => {
    const votes: Vote[] = [
      [1, 0.9],
      [2, 0.8],
      [2, 0.8],
      [3, 0.1],
      [3, 0.1],
      [3, 0.1],
      [null, 0.95],
    ];
    expect(outcome(votes, { top: 1 / 6 })).toMatchObject({ filtered: 1 });
    expect(outcome(votes, { top: 0.2 })).toMatchObject({ filtered: 0 });
    expect(outcome(votes, { top: 1 })).toMatchObject({ filtered: 0, majority: 0 });
  });

  test('equal answers in different spellings are one vote', () => {
    const traces = ['1/2', '0.5', '\\frac12', '3', '3'].map((extracted_answer, i) =>
      sampleScoredTrace({ extracted_answer, is_correct: i < 3, score: 0.5 }),
    );
    expect(outcome([], { traces })).toMatchObject({ majority: 1, weighted: 1 });
  });

  test('an answer whose traces bear different labels is right with their mean', () => {
    const traces = [true, true, false].map((is_correct) => sampleScoredTrace({ is_correct, score: 0.5 }));
    expect(outcome([], { traces }).majority).toBeCloseTo(2 / 3, 15);
  });
});

describe('for any traces', () => {
  const score = fc.option(
    fc.integer({ min: 0, max: 8 }).map((eighths) => eighths / 8),
    { freq: 5 },
  );
  const votes = fc.array(fc.tuple(fc.option(fc.integer({ min: 1, max: 4 }), { freq: 5 }), score), {
    minLength: 1,
    maxLength: 12,
  });
  const forAll = (check: (votes: Vote[]) => void): void => fc.assert(fc.property(votes, check), { numRuns: 300 });

  test('no rule beats the oracle, and none is worse than nothing', () => {
    forAll((list) => {
      const { oracle, ...others } = outcome(list);
      for (const value of Object.values(others)) {
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(oracle);
      }
    });
  });

  test('where all scores are equal, weights and filters change nothing, and the best of N is any', () => {
    forAll((list) => {
      const { single, majority, ...rest } = outcome(list.map(([answer]) => [answer, 0.3]));
      expect(rest.weighted).toBeCloseTo(majority, 12);
      expect(rest.filtered).toBe(majority);
      expect(rest.best_of_n).toBe(single);
    });
  });

  test('of one trace all rules make the same', () => {
    forAll(([first]) => {
      const all = Object.values(outcome([first!]));
      expect(new Set(all).size).toBe(1);
    });
  });

  test('the order of the traces makes no difference', () => {
    forAll((list) => {
      const [one, other] = [outcome(list), outcome(list.toReversed())];
      for (const rule of Object.keys(one)) {
        expect(one[rule as keyof typeof one]).toBeCloseTo(other[rule as keyof typeof one], 12);
      }
    });
  });
});
