import { expect, test } from 'vitest';
import { bestEpoch, type Epoch, isDone, selectionScore } from './selection.js';

const epoch = (auc: number, f1 = 0, within: number | null = null): Epoch => ({
  loss: 1,
  auc,
  f1,
  accuracy: 0,
  precision: 0,
  recall: 0,
  auc_within_question: within,
});

test('as in the original, the score is three quarters AUC and one quarter F1', () => {
  expect(selectionScore(epoch(0.8, 0.4, 0.1), 'auc_f1')).toBeCloseTo(0.7, 12);
});

test('or it is the AUC within questions, and over all steps where there is none', () => {
  expect(selectionScore(epoch(0.8, 0.4, 0.6), 'within_question')).toBe(0.6);
  expect(selectionScore(epoch(0.8, 0.4), 'within_question')).toBe(0.8);
  const history = [epoch(0.5, 0, 0.7), epoch(0.9, 0, 0.6)];
  expect([bestEpoch(history, 'within_question'), bestEpoch(history, 'auc_f1')]).toEqual([1, 2]);
});

test('the best epoch is the last that gained more than 1e-4 on the best one before it', () => {
  const best = (...aucs: number[]): number =>
    bestEpoch(
      aucs.map((auc) => epoch(auc)),
      'auc_f1',
    );
  expect(best()).toBe(0);
  expect(best(0.5)).toBe(1);
  expect(best(0.5, 0.5001, 0.4)).toBe(1);
  // Small gains add up, because each is compared with the best one, not with the epoch before.
  expect(best(0.5, 0.5001, 0.5002)).toBe(3);
});

test('training ends at the last epoch, or after as many without gain as its patience', () => {
  const limits = { epochs: 6, patience: 2, select: 'auc_f1' } as const;
  expect(isDone([], limits)).toBe(false);
  expect(isDone([epoch(0.5), epoch(0.4)], limits)).toBe(false);
  expect(isDone([epoch(0.5), epoch(0.4), epoch(0.4)], limits)).toBe(true);
  expect(
    isDone(
      [1, 2, 3, 4, 5, 6].map((n) => epoch(n / 10)),
      limits,
    ),
  ).toBe(true);
});
