import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Aggregation, aggregate, nameOf, parseAggregation } from './aggregate.js';

const read = (name: string): Aggregation => parseAggregation(name)!;

test.each([
  ['mean', 0.5],
  ['last', 0.75],
  ['min', 0.25],
  ['product', 0.09375],
  ['exp_mean:0.5', (0.25 * 0.25 + 0.5 * 0.5 + 0.75) / 1.75],
  ['last_k:2', 0.625],
  ['last_k:9', 0.5],
])('%s of 0.25, 0.5, 0.75 is %d', (name, score) => {
  expect(aggregate([0.25, 0.5, 0.75], read(name))).toBeCloseTo(score, 15);
  expect(nameOf(read(name))).toBe(name);
});

test('a part of a trace is scored as if it were the whole', () => {
  expect(aggregate([0.9, 0.25, 0.5, 0.9], read('mean'), 1, 3)).toBe(0.375);
  expect(aggregate([0.9, 0.25, 0.5, 0.9], read('last_k:2'), 1, 2)).toBe(0.25);
});

test('a trace without a step has no score', () => {
  for (const name of ['mean', 'last', 'min', 'product', 'exp_mean', 'last_k']) {
    expect(aggregate([], read(name))).toBeNaN();
  }
});

test('no average leaves the range of the scores', () => {
  const scores = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(scores, fc.constantFrom('mean', 'last', 'min', 'exp_mean:0.3', 'last_k:3'), (list, name) => {
      const score = aggregate(list, read(name));
      expect(score).toBeGreaterThanOrEqual(Math.min(...list) - 1e-12);
      expect(score).toBeLessThanOrEqual(Math.max(...list) + 1e-12);
    }),
  );
});

test.each(['median', 'exp_mean:1', 'exp_mean:0', 'last_k:0', 'last_k:1.5', 'mean:2', ''])('%j is refused', (name) => {
  expect(parseAggregation(name)).toBeUndefined();
});
