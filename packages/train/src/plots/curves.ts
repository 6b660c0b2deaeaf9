/**
 * What the charts of the validation steps are drawn from. Each function takes `scores` (probabilities in 0..1, one a
 * step) and `labels` (1 where the step's trace ends in a right answer) and gives an answer of bounded size, whatever
 * the number of steps.
 */

/** More points than a line of a few hundred pixels can show would only swell the page. */
const MAX_ROC_POINTS = 400;
const HISTOGRAM_BINS = 40;
const RELIABILITY_BINS = 10;

export interface RocCurve {
  falsePositiveRate: number[];
  truePositiveRate: number[];
}

/**
 * The receiver operating characteristic, from (0, 0) to (1, 1); equal scores move together, as in sklearn's `roc_curve`.
 * Thinned evenly along its length to about 400 points. Empty where only one class is present.
 */
export function rocCurve(scores: ArrayLike<number>, labels: ArrayLike<number>): RocCurve {
  const right = sortedScores(scores, labels, 1);
  const wrong = sortedScores(scores, labels, 0);
  const curve: RocCurve = { falsePositiveRate: [], truePositiveRate: [] };
  if (right.length === 0 || wrong.length === 0) return curve;

  let lastLength = Number.NEGATIVE_INFINITY;
  // Both lists ascend; the threshold walks down from their ends.
  let r = right.length;
  let w = wrong.length;
  for (;;) {
    const truePositiveRate = 1 - r / right.length;
    const falsePositiveRate = 1 - w / wrong.length;
    const isEnd = r === 0 && w === 0;
    if (isEnd || truePositiveRate + falsePositiveRate - lastLength >= 2 / MAX_ROC_POINTS) {
      lastLength = truePositiveRate + falsePositiveRate;
      curve.truePositiveRate.push(truePositiveRate);
      curve.falsePositiveRate.push(falsePositiveRate);
    }
    if (isEnd) return curve;
    const threshold = Math.max(right[r - 1] ?? Number.NEGATIVE_INFINITY, wrong[w - 1] ?? Number.NEGATIVE_INFINITY);
    while (r > 0 && right[r - 1]! >= threshold) r--;
    while (w > 0 && wrong[w - 1]! >= threshold) w--;
  }
}

export interface ScoreHistogram {
  /** The bins' bounds, one more than there are bins. */
  edges: number[];
  /** Share of the right (wrong) steps in each bin; sums to 1, so that the classes compare whatever their sizes. */
  right: number[];
  wrong: number[];
}

/** How the scores of right and of wrong steps spread over 0..1, in 40 equal bins. */
export function scoreHistogram(scores: ArrayLike<number>, labels: ArrayLike<number>): ScoreHistogram {
  const right = new Array<number>(HISTOGRAM_BINS).fill(0);
  const wrong = new Array<number>(HISTOGRAM_BINS).fill(0);
  let positives = 0;
  for (let s = 0; s < scores.length; s++) {
    const bin = binOf(scores[s]!, HISTOGRAM_BINS);
    if (labels[s] === 1) {
      positives++;
      right[bin]!++;
    } else {
      wrong[bin]!++;
    }
  }
  const negatives = scores.length - positives;
  return {
    edges: Array.from({ length: HISTOGRAM_BINS + 1 }, (_, edge) => edge / HISTOGRAM_BINS),
    right: right.map((count) => count / Math.max(positives, 1)),
    wrong: wrong.map((count) => count / Math.max(negatives, 1)),
  };
}

/** What was scored between two scores. */
export interface ReliabilityBin {
  /** Mean of the scores. */
  readonly score: number;
  /** Share of what is right, or belongs to right traces. */
  readonly observed: number;
  readonly count: number;
}

export interface Reliability {
  /** Ten equal bins over 0..1, without the empty ones. */
  bins: ReliabilityBin[];
  /** Expected calibration error: the mean of |score − observed| over the bins, weighted by their counts. */
  calibrationError: number;
}

/** Reliability diagram and expected calibration error (Guo et al. 2017, arXiv 1706.04599, with the positive class's score). */
export function reliability(scores: ArrayLike<number>, labels: ArrayLike<number>): Reliability {
  const sums = Array.from({ length: RELIABILITY_BINS }, () => ({ score: 0, right: 0, count: 0 }));
  for (let s = 0; s < scores.length; s++) {
    const sum = sums[binOf(scores[s]!, RELIABILITY_BINS)]!;
    sum.score += scores[s]!;
    sum.right += labels[s]!;
    sum.count++;
  }
  const bins = sums
    .filter(({ count }) => count > 0)
    .map(({ score, right, count }) => ({ score: score / count, observed: right / count, count }));
  const gaps = bins.map(({ score, observed, count }) => Math.abs(score - observed) * count);
  return { bins, calibrationError: gaps.reduce((a, b) => a + b, 0) / Math.max(scores.length, 1) };
}

/** Ascending scores of one class; typed arrays sort by value, natively. */
function sortedScores(scores: ArrayLike<number>, labels: ArrayLike<number>, label: number): Float64Array {
  return Float64Array.from(scores)
    .filter((_, s) => labels[s] === label)
    .sort();
}

function binOf(score: number, bins: number): number {
  return Math.min(Math.floor(score * bins), bins - 1);
}
