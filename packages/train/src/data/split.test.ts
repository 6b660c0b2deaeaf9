import { randomStream } from '@scorer/core/random';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TraceSteps } from './rows.js';
import { drawStratified, type SplitChoice, splitSteps } from './split.js';

/** Questions × 4 traces of 1 … 5 steps; question q is solved in q mod 5 of its traces. */
function sample(questionCount: number): TraceSteps {
  const traces = Array.from({ length: questionCount * 4 }, (_, i) => ({
    question: i % questionCount,
    label: Number(Math.floor(i / questionCount) < (i % questionCount) % 5),
    steps: 1 + (i % 5),
  }));
  const offsets = [0];
  for (const { steps } of traces) offsets.push(offsets.at(-1)! + steps);
  return {
    rows: Uint32Array.from({ length: offsets.at(-1)! }, (_, i) => 10 + 2 * i),
    offsets: Uint32Array.from(offsets),
    labels: Uint8Array.from(traces, ({ label }) => label),
    questions: Uint32Array.from(traces, ({ question }) => question),
    questionCount,
    tracesWithoutSteps: 0,
  };
}

const choice = (split: SplitChoice['split'], seed = 0): SplitChoice => ({ split, validationRatio: 0.2, seed });

describe.each(['question', 'trace', 'step'] as const)('a split by %s', (split) => {
  test('puts every step on one side, in order, with its label', () => {
    const steps = sample(25);
    const { train, validation } = splitSteps(steps, choice(split));
    const labelOf = new Map<number, number>();
    for (const [trace, label] of steps.labels.entries()) {
      for (let i = steps.offsets[trace]!; i < steps.offsets[trace + 1]!; i++) labelOf.set(steps.rows[i]!, label);
    }
    expect([...train.rows, ...validation.rows].sort((a, b) => a - b)).toEqual([...steps.rows]);
    for (const { rows, labels } of [train, validation]) {
      expect([...rows]).toEqual([...rows].sort((a, b) => a - b));
      expect([...labels]).toEqual(Array.from(rows, (row) => labelOf.get(row)));
    }
  });

  test('is decided by the seed', () => {
    const steps = sample(25);
    expect(splitSteps(steps, choice(split))).toEqual(splitSteps(steps, choice(split)));
    expect(splitSteps(steps, choice(split, 1)).validation).not.toEqual(splitSteps(steps, choice(split)).validation);
  });

  test('counts what it did', () => {
    const { train, validation, summary } = splitSteps(sample(25), choice(split));
    expect(summary.train.steps).toBe(train.rows.length);
    expect(summary.validation.positives).toBe(validation.labels.filter((label) => label === 1).length);
    const sides = summary.train.traces + summary.validation.traces;
    if (split === 'step') expect(sides).toBeGreaterThan(100);
    else expect(sides).toBe(100);
  });
});

test('a split by question has no question on both sides, and a fifth of them in validation', () => {
  const { summary } = splitSteps(sample(25), choice('question'));
  expect(summary).toMatchObject({ sharedQuestions: 0, train: { questions: 20 }, validation: { questions: 5 } });
});

test('a split by question takes easy and hard ones in proportion', () => {
  const steps = sample(25);
  const { validation } = splitSteps(steps, choice('question'));
  // One question of each of the five rates of success, each with 4 traces: 0 + 1 + 2 + 3 + 4 of 20 are right.
  const rows = new Set(validation.rows);
  const chosen = [...steps.labels.entries()].filter(([trace]) => rows.has(steps.rows[steps.offsets[trace]!]!));
  expect(chosen).toHaveLength(20);
  expect(chosen.filter(([, label]) => label === 1)).toHaveLength(10);
});

test('splits by trace and by step tell that questions stand on both sides', () => {
  expect(splitSteps(sample(25), choice('trace')).summary.sharedQuestions).toBeGreaterThan(10);
  expect(splitSteps(sample(25), choice('step')).summary.sharedQuestions).toBeGreaterThan(20);
});

test('a stratified draw takes ⌈n · ratio⌉ units, of each stratum within one of its share', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 200 }),
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      fc.nat(),
      (units, ratio, seed) => {
        const strata = Uint8Array.from(units);
        const drawn = drawStratified(strata, ratio, randomStream(seed, 'draw'));
        const count = (stratum?: number): number =>
          drawn.filter((is, i) => is === 1 && (stratum === undefined || strata[i] === stratum)).length;
        expect(count()).toBe(Math.ceil(units.length * ratio));
        for (const stratum of new Set(units)) {
          const share = units.filter((unit) => unit === stratum).length * ratio;
          expect(Math.abs(count(stratum) - share)).toBeLessThanOrEqual(1);
        }
      },
    ),
  );
});
