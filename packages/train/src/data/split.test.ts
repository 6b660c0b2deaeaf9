import { randomStream } from '@scorer/core/random';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TraceSteps } from './rows.js';
import { dealStratified, drawStratified, type SplitChoice, separateSteps, splitSteps } from './split.js';

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
    traces: Uint32Array.from(traces, (_, i) => i),
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

test('folds deal out all units, of each stratum and in all equally many but for one', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 200 }),
      fc.integer({ min: 2, max: 7 }),
      fc.nat(),
      (units, k, seed) => {
        const strata = Uint8Array.from(units);
        const folds = dealStratified(strata, k, randomStream(seed, 'deal'));
        const sizes = (stratum?: number): number[] =>
          Array.from(
            { length: k },
            (_, fold) => folds.filter((f, i) => f === fold && (stratum === undefined || strata[i] === stratum)).length,
          );
        for (const counts of [undefined, ...new Set(units)].map(sizes)) {
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        }
      },
    ),
  );
});

test('each step is validated in one of k folds, and never beside its own question', () => {
  const steps = sample(25);
  const sides = [1, 2, 3].map((number) => splitSteps(steps, { ...choice('question'), fold: { number, of: 3 } }));
  expect(sides.flatMap(({ validation }) => [...validation.rows]).sort((a, b) => a - b)).toEqual([...steps.rows]);
  expect(sides.map(({ summary }) => summary.sharedQuestions)).toEqual([0, 0, 0]);
  expect(sides.map(({ summary }) => summary.validation.questions).sort()).toEqual([8, 8, 9]);
});

test('of the validation steps alone a share is drawn, where training draws its own in each epoch', () => {
  const steps = sample(25);
  const [whole, thinned] = [1, 0.5].map((validationStepRatio) =>
    splitSteps(steps, { ...choice('question'), validationStepRatio }),
  );
  expect(thinned!.train).toEqual(whole!.train);
  expect(thinned!.summary.validation).toMatchObject({ traces: 20, questions: 5 });
  // Of 1 … 5 steps are left 1, 1, 1, 2, 2.
  const { offsets } = steps;
  for (const [trace, start] of offsets.subarray(0, -1).entries()) {
    const count = offsets[trace + 1]! - start;
    const inside = (set: typeof thinned): number =>
      set!.validation.rows.filter((row) => steps.rows.indexOf(row) >= start && steps.rows.indexOf(row) < start + count)
        .length;
    if (inside(whole) > 0) expect(inside(thinned)).toBe(Math.max(1, Math.floor(count / 2)));
  }
});

test('soft labels are learnt as they are and counted by the nearer class', () => {
  const steps = { ...sample(5), stepTargets: Float32Array.from(sample(5).rows, (_, i) => (i % 4) / 4) };
  const { train, validation } = splitSteps(steps, choice('step'));
  for (const { targets, labels } of [train, validation]) {
    expect([...labels]).toEqual(Array.from(targets, (target) => Number(target >= 0.5)));
  }
  expect(train.targets).toContain(0.25);
});

test('a folder of its own for validation is taken whole, and shared questions are counted', () => {
  const [steps, other] = [sample(25), sample(5)];
  const { train, validation, summary } = separateSteps(steps, other);
  expect([train.rows, validation.rows]).toEqual([steps.rows, other.rows]);
  expect(summary).toMatchObject({ kind: 'folder', sharedQuestions: 5, validation: { questions: 5, traces: 20 } });
});
