import { ScorerError } from '@scorer/core/errors';

/** How well scores tell right steps from wrong ones; each figure in 0 … 1. */
export interface Metrics {
  /** Area under the ROC curve: the chance that a right step scores above a wrong one. */
  auc: number;
  accuracy: number;
  f1: number;
  precision: number;
  recall: number;
}

/** A step counts as predicted right from this probability on. */
export const THRESHOLD = 0.5;

/**
 * All metrics of one set, as scikit-learn defines them (`zero_division=0`).
 * @param probabilities [S], a Float32Array or Float64Array
 * @param labels [S], 1 = right, 0 = wrong
 * @throws ScorerError `SCORE_NOT_FINITE`
 */
export function classificationMetrics(probabilities: Scores, labels: Uint8Array): Metrics {
  return { auc: rocAuc(probabilities, labels), ...thresholdMetrics(probabilities, labels) };
}

export type Scores = Float32Array | Float64Array;

/**
 * The exact area under the ROC curve, the Mann–Whitney statistic: over all pairs of a right and a wrong one, the share
 * in which the right one scores higher; a tie counts half. 0.5 where one class is missing, as in the original.
 * @throws ScorerError `SCORE_NOT_FINITE`
 */
export function rocAuc(scores: Scores, labels: Uint8Array): number {
  checkFinite(scores);
  const right = scores.filter((_, i) => labels[i] === 1).sort();
  const wrong = scores.filter((_, i) => labels[i] === 0).sort();
  if (right.length === 0 || wrong.length === 0) return 0.5;

  let wins = 0;
  let below = 0; // wrong ones under the current right one
  let notAbove = 0; // those that tie with it included
  for (const score of right) {
    while (below < wrong.length && wrong[below]! < score) below++;
    while (notAbove < wrong.length && wrong[notAbove]! <= score) notAbove++;
    wins += (below + notAbove) / 2;
  }
  return wins / (right.length * wrong.length);
}

/** Accuracy, F1, precision and recall at `THRESHOLD`; a ratio without cases is 0. */
export function thresholdMetrics(probabilities: Scores, labels: Uint8Array): Omit<Metrics, 'auc'> {
  let truePositives = 0;
  let falsePositives = 0;
  let falseNegatives = 0;
  for (let i = 0; i < labels.length; i++) {
    const predicted = probabilities[i]! >= THRESHOLD;
    if (predicted && labels[i] === 1) truePositives++;
    else if (predicted) falsePositives++;
    else if (labels[i] === 1) falseNegatives++;
  }
  return {
    accuracy: ratio(labels.length - falsePositives - falseNegatives, labels.length),
    f1: ratio(2 * truePositives, 2 * truePositives + falsePositives + falseNegatives),
    precision: ratio(truePositives, truePositives + falsePositives),
    recall: ratio(truePositives, truePositives + falseNegatives),
  };
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

function checkFinite(scores: Scores): void {
  const bad = scores.findIndex((score) => !Number.isFinite(score));
  if (bad !== -1) {
    throw new ScorerError({ code: 'SCORE_NOT_FINITE', what: `a score is ${scores[bad]}`, where: `row ${bad}` });
  }
}
