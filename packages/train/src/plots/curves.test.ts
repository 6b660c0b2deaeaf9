import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { rocAuc } from '../metrics.js';
import { type RocCurve, reliability, rocCurve, scoreHistogram } from './curves.js';

const expected = JSON.parse(readFileSync(new URL('./fixtures/curves.json', import.meta.url), 'utf8'));
const scores = Float32Array.from(expected.scores);
const labels = Uint8Array.from(expected.labels);

describe('rocCurve', () => {
  it('has the points of scikit-learn, with tied scores as one step', () => {
    const curve = rocCurve(scores, labels);
    expect(curve.falsePositiveRate).toHaveLength(expected.roc.falsePositiveRate.length);
    expectClose(curve.falsePositiveRate, expected.roc.falsePositiveRate);
    expectClose(curve.truePositiveRate, expected.roc.truePositiveRate);
  });

  it('is thinned to a bounded size that keeps its ends and its area', () => {
    const many = Float32Array.from({ length: 50_000 }, (_, s) => ((s * 7919) % 50_021) / 50_021);
    const some = Uint8Array.from(many, (score, s) => Number((s * 104_729) % 1009 < 300 + 500 * score));
    const curve = rocCurve(many, some);
    expect(curve.truePositiveRate.length).toBeLessThanOrEqual(402);
    expect([curve.falsePositiveRate[0], curve.truePositiveRate[0]]).toEqual([0, 0]);
    expect([curve.falsePositiveRate.at(-1), curve.truePositiveRate.at(-1)]).toEqual([1, 1]);
    expect(areaUnder(curve)).toBeCloseTo(rocAuc(many, some), 4);
  });

  it('is empty where one class is missing', () => {
    expect(rocCurve([0.2, 0.7], [1, 1])).toEqual({ falsePositiveRate: [], truePositiveRate: [] });
  });
});

describe('reliability', () => {
  it('has the bins of scikit-learn', () => {
    const { bins } = reliability(scores, labels);
    expectClose(
      bins.map(({ score }) => score),
      expected.reliability.score,
    );
    expectClose(
      bins.map(({ observed }) => observed),
      expected.reliability.observed,
    );
    expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(scores.length);
  });

  it('weighs the calibration error by the steps of each bin', () => {
    // Three steps at 0.9 of which one is right, one at 0.1 that is wrong: (3 · |0.9 − 1/3| + 1 · |0.1 − 0|) / 4.
    const { calibrationError } = reliability([0.9, 0.9, 0.9, 0.1], [1, 0, 0, 0]);
    expect(calibrationError).toBeCloseTo((3 * (0.9 - 1 / 3) + 0.1) / 4, 12);
  });
});

describe('scoreHistogram', () => {
  it('gives each class as a share of its own steps', () => {
    const { edges, right, wrong } = scoreHistogram(scores, labels);
    expect(edges).toHaveLength(right.length + 1);
    expect(sum(right)).toBeCloseTo(1, 12);
    expect(sum(wrong)).toBeCloseTo(1, 12);
  });

  it('counts a score of exactly 1 in the last bin', () => {
    expect(scoreHistogram([0, 1], [0, 1]).right.at(-1)).toBe(1);
    expect(scoreHistogram([0, 1], [0, 1]).wrong[0]).toBe(1);
  });

  it('is flat zero for a class without steps', () => {
    expect(sum(scoreHistogram([0.5], [1]).wrong)).toBe(0);
  });
});

function expectClose(actual: readonly number[], wanted: readonly number[]): void {
  expect(actual).toHaveLength(wanted.length);
  for (const [index, value] of actual.entries()) expect(value).toBeCloseTo(wanted[index]!, 6);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function areaUnder({ falsePositiveRate: x, truePositiveRate: y }: RocCurve): number {
  return sum(x.slice(1).map((_, i) => ((x[i + 1]! - x[i]!) * (y[i + 1]! + y[i]!)) / 2));
}
