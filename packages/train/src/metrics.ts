import { ScorerError } from '@scorer/core/errors';
import { reliability } from './plots/curves.js';

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
  checkFinite(probabilities);
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

/**
 * Mean over the groups that have right and wrong members of the AUC within each.
 * @param groups [S]: number of each one's group, such as its question, counted from 0
 * @returns the mean, null where no group has both, and how many groups have
 * @throws ScorerError `SCORE_NOT_FINITE`
 */
export function withinQuestionAuc(
  scores: Scores,
  labels: Uint8Array,
  groups: Uint32Array,
): { value: number | null; questions: number } {
  checkFinite(scores);
  const { order, offsets } = membersByGroup(groups);
  let sum = 0;
  let questions = 0;
  for (let group = 0; group + 1 < offsets.length; group++) {
    const members = order.subarray(offsets[group], offsets[group + 1]);
    const groupLabels = Uint8Array.from(members, (i) => labels[i]!);
    if (!groupLabels.includes(0) || !groupLabels.includes(1)) continue;
    const groupScores = Float64Array.from(members, (i) => scores[i]!);
    sum += rocAuc(groupScores, groupLabels);
    questions++;
  }
  return { value: questions === 0 ? null : sum / questions, questions };
}

/** Positions by group, ascending in each: those of group g are order[offsets[g]] … order[offsets[g + 1] − 1]. */
function membersByGroup(groups: Uint32Array): { order: Uint32Array; offsets: Uint32Array } {
  const groupCount = groups.reduce((most, group) => Math.max(most, group + 1), 0);
  const offsets = new Uint32Array(groupCount + 1);
  for (const group of groups) offsets[group + 1]!++;
  for (let group = 0; group < groupCount; group++) offsets[group + 1]! += offsets[group]!;
  const next = offsets.slice();
  const order = new Uint32Array(groups.length);
  for (const [i, group] of groups.entries()) order[next[group]!++] = i;
  return { order, offsets };
}

/**
 * Average precision, Σ (R_n − R_(n−1)) · P_n over the distinct scores, the area under the precision–recall curve without
 * interpolation. 0 where there are no right ones, as in scikit-learn.
 * @throws ScorerError `SCORE_NOT_FINITE`
 */
export function averagePrecision(scores: Scores, labels: Uint8Array): number {
  checkFinite(scores);
  const right = scores.filter((_, i) => labels[i] === 1).sort();
  const wrong = scores.filter((_, i) => labels[i] === 0).sort();
  let area = 0;
  // The threshold walks down from the ends of both lists.
  let r = right.length;
  let w = wrong.length;
  while (r > 0) {
    const threshold = right[r - 1]!;
    const before = r;
    while (r > 0 && right[r - 1]! >= threshold) r--;
    while (w > 0 && wrong[w - 1]! >= threshold) w--;
    const [truePositives, falsePositives] = [right.length - r, wrong.length - w];
    area += ((before - r) * truePositives) / (truePositives + falsePositives);
  }
  return ratio(area, right.length);
}

/**
 * Mean squared difference between probability and label (Brier 1950); 0 of no rows.
 * @throws ScorerError `SCORE_NOT_FINITE`
 */
export function brierScore(probabilities: Scores, labels: Uint8Array): number {
  checkFinite(probabilities);
  let sum = 0;
  for (const [i, probability] of probabilities.entries()) sum += (probability - labels[i]!) ** 2;
  return ratio(sum, labels.length);
}

/**
 * Expected calibration error over ten equal bins, see `reliability`.
 * @throws ScorerError `SCORE_NOT_FINITE`
 */
export function calibrationError(probabilities: Scores, labels: Uint8Array): number {
  checkFinite(probabilities);
  return reliability(probabilities, labels).calibrationError;
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
