import { expect, test } from 'vitest';
import { bestEpoch, type Epoch, isDone, selectionScore } from './selection.js';

const epoch = (auc: number, f1 = 0): Epoch => ({ loss: 1, auc, f1, accuracy: 0, precision: 0, recall: 0 });

test('the score is three quarters AUC and one quarter F1', () => {
  expect(selectionScore(epoch(0.8, 0.4))).toBeCloseTo(0.7, 12);
});

test('the best epoch is the last that gained more than 1e-4 on the best one before it', () => {
  expect(bestEpoch([])).toBe(0);
  expect(bestEpoch([epoch(0.5)])).toBe(1);
  expect(bestEpoch([epoch(0.5), epoch(0.5001), epoch(0.4)])).toBe(1);
  // Small gains add up, because each is compared with the best one, not with the epoch before.
  expect(bestEpoch([epoch(0.5), epoch(0.5001), epoch(0.5002)])).toBe(3);
});

test('training ends at the last epoch, or after as many without gain as its patience', () => {
  const limits = { epochs: 6, patience: 2 };
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
