import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { classificationMetrics, type Metrics, rocAuc } from './metrics.js';

interface Case extends Metrics {
  name: string;
  scores: number[];
  labels: number[];
}

const CASES: Case[] = JSON.parse(readFileSync(new URL('./fixtures/metrics.json', import.meta.url), 'utf8'));

describe('all metrics equal those of scikit-learn', () => {
  test.each(CASES.map((entry) => [entry.name, entry] as const))('%s', (_, { scores, labels, ...expected }) => {
    const metrics = classificationMetrics(Float32Array.from(scores), Uint8Array.from(labels));
    for (const name of ['auc', 'accuracy', 'f1', 'precision', 'recall'] as const) {
      expect(metrics[name], name).toBeCloseTo(expected[name], 12);
    }
  });
});

test('a score that is not a number is refused', () => {
  const scores = Float32Array.of(0.1, Number.NaN, 0.3);
  expect(() => rocAuc(scores, Uint8Array.of(0, 1, 0))).toThrow(
    expect.objectContaining({ code: 'SCORE_NOT_FINITE', message: 'a score is NaN, row 1' }),
  );
});
