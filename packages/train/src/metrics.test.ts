import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  averagePrecision,
  brierScore,
  calibrationError,
  classificationMetrics,
  type Metrics,
  rocAuc,
  thresholdMetrics,
  withinQuestionAuc,
} from './metrics.js';

interface Case extends Metrics {
  name: string;
  scores: number[];
  labels: number[];
  questions: number[];
  average_precision: number;
  brier: number;
  calibration_error: number;
  auc_within_question: number | null;
  questions_with_both: number;
}

const CASES: Case[] = JSON.parse(readFileSync(new URL('./fixtures/metrics.json', import.meta.url), 'utf8'));

describe('all metrics equal those of scikit-learn', () => {
  test.each(CASES.map((entry) => [entry.name, entry] as const))('%s', (_, expected) => {
    const scores = Float32Array.from(expected.scores);
    const labels = Uint8Array.from(expected.labels);
    const within = withinQuestionAuc(scores, labels, Uint32Array.from(expected.questions));
    const ours: Record<string, number | null> = {
      ...classificationMetrics(scores, labels),
      average_precision: averagePrecision(scores, labels),
      brier: brierScore(scores, labels),
      calibration_error: calibrationError(scores, labels),
      auc_within_question: within.value,
      questions_with_both: within.questions,
    };
    for (const [name, value] of Object.entries(ours)) {
      const theirs = expected[name as keyof Case];
      if (theirs === null) expect(value, name).toBeNull();
      else expect(value, name).toBeCloseTo(theirs as number, 12);
    }
  });
});

const METRICS: Record<string, (scores: Float32Array, labels: Uint8Array) => unknown> = {
  rocAuc,
  thresholdMetrics,
  averagePrecision,
  brierScore,
  calibrationError,
  withinQuestionAuc: (scores, labels) => withinQuestionAuc(scores, labels, new Uint32Array(scores.length)),
};

test.each(Object.entries(METRICS))('%s refuses a score that is not finite, and names its row', (_, metric) => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const scores = Float32Array.of(0.1, bad, 0.3);
    expect(() => metric(scores, Uint8Array.of(0, 1, 0))).toThrow(
      expect.objectContaining({ code: 'SCORE_NOT_FINITE', message: `a score is ${bad}, row 1` }),
    );
  }
});

test('of no rows at all every metric has a value, the AUC that of chance', () => {
  const [scores, labels] = [new Float32Array(0), new Uint8Array(0)];
  expect(classificationMetrics(scores, labels)).toEqual({ auc: 0.5, accuracy: 0, f1: 0, precision: 0, recall: 0 });
  expect([averagePrecision(scores, labels), brierScore(scores, labels), calibrationError(scores, labels)]).toEqual([
    0, 0, 0,
  ]);
  expect(withinQuestionAuc(scores, labels, new Uint32Array(0))).toEqual({ value: null, questions: 0 });
});
