import type { ScoreTable } from '../scores/score-table.js';
import { differenceOf, ratioOf, remembered, type Statistic } from './bootstrap.js';

/** How well scores put right traces above wrong ones; traces without a score take no part. A tie counts half. */
export interface RankStatistics {
  /** The area under the ROC curve of all traces: over all pairs of a right and a wrong one, of whichever questions. */
  readonly pooled: Statistic;
  /** The mean over questions with both labels of the AUC among their traces. */
  readonly within_question: Statistic;
  /** Over all pairs of a right and a wrong trace of one question, the share in which the right one scores higher. */
  readonly rank_accuracy: Statistic;
}

/** @param scores [N]: of each trace of the table; NaN for none */
function rankStatistics(table: ScoreTable, scores: Float64Array): RankStatistics {
  const { wins, pairs } = pairsWithinQuestions(table, scores);
  const hasBoth = pairs.map((count) => Number(count > 0));
  const auc = wins.map((won, q) => (pairs[q] === 0 ? 0 : won / pairs[q]!));
  return {
    pooled: remembered(pooledAuc(table, scores)),
    within_question: ratioOf(auc, hasBoth),
    rank_accuracy: ratioOf(wins, pairs),
  };
}

/** The ranks of scores, [N], NaN for none. */
export type Ranking = (scores: Float64Array) => RankStatistics;

/** As `rankStatistics`, but equal scores have the same ones: one walk over all traces less in each resample. */
export function rankingOf(table: ScoreTable): Ranking {
  const known: { scores: Float64Array; ranks: RankStatistics }[] = [];
  return (scores) => {
    const same = known.find((other) => other.scores.every((score, i) => Object.is(score, scores[i])));
    if (same) return same.ranks;
    const ranks = rankStatistics(table, scores);
    known.push({ scores, ranks });
    return ranks;
  };
}

/** By how much one set of scores does better than another. */
export function rankDifferences(scores: RankStatistics, others: RankStatistics): RankStatistics {
  return {
    pooled: differenceOf(scores.pooled, others.pooled),
    within_question: differenceOf(scores.within_question, others.within_question),
    rank_accuracy: differenceOf(scores.rank_accuracy, others.rank_accuracy),
  };
}

/** [Q]: pairs of a right and a wrong trace of each question, and how many of them the scores put in order. */
export function pairsWithinQuestions({ questionCount, traceOffsets, labels }: ScoreTable, scores: Float64Array) {
  const wins = new Float64Array(questionCount);
  const pairs = new Float64Array(questionCount);
  for (let q = 0; q < questionCount; q++) {
    const sorted = sortedByScore(scores, traceOffsets[q]!, traceOffsets[q + 1]!);
    let [right, wrong] = [0, 0];
    for (const { start, end } of tiesOf(sorted, scores)) {
      let [rightHere, wrongHere] = [0, 0];
      for (let i = start; i < end; i++) {
        if (labels[sorted[i]!] === 1) rightHere++;
        else wrongHere++;
      }
      wins[q]! += rightHere * (wrong + wrongHere / 2);
      right += rightHere;
      wrong += wrongHere;
    }
    pairs[q] = right * wrong;
  }
  return { wins, pairs };
}

/**
 * The AUC of all traces. They are sorted once: of each right one is kept how many wrong ones lie below it, so that a
 * resample takes one walk without a branch over the wrong ones and one over the right ones.
 */
function pooledAuc({ questionCount, traceCount, traceOffsets, labels }: ScoreTable, scores: Float64Array): Statistic {
  const questionOf = new Uint32Array(traceCount);
  for (let q = 0; q < questionCount; q++) questionOf.fill(q, traceOffsets[q]!, traceOffsets[q + 1]!);
  const sorted = sortedByScore(scores, 0, traceCount);
  const right = sorted.filter((trace) => labels[trace] === 1);
  const wrong = sorted.filter((trace) => labels[trace] === 0);
  const [questionOfRight, questionOfWrong] = [right, wrong].map((traces) => traces.map((trace) => questionOf[trace]!));
  // [right]: how many wrong ones score lower, and how many no higher.
  const [below, notAbove] = [new Uint32Array(right.length), new Uint32Array(right.length)];
  for (let i = 0, lower = 0, equal = 0; i < right.length; i++) {
    const score = scores[right[i]!]!;
    while (lower < wrong.length && scores[wrong[lower]!]! < score) lower++;
    while (equal < wrong.length && scores[wrong[equal]!]! <= score) equal++;
    below[i] = lower;
    notAbove[i] = equal;
  }
  // [wrong + 1]: the counts of the first j wrong ones together.
  const wrongCounts = new Float64Array(wrong.length + 1);

  return (counts) => {
    let sum = 0;
    for (let j = 0; j < wrong.length; j++) {
      sum += counts[questionOfWrong![j]!]!;
      wrongCounts[j + 1] = sum;
    }
    let [wins, rightCount] = [0, 0];
    for (let i = 0; i < right.length; i++) {
      const count = counts[questionOfRight![i]!]!;
      rightCount += count;
      wins += count * (wrongCounts[below[i]!]! + wrongCounts[notAbove[i]!]!);
    }
    return wins / (2 * rightCount * sum);
  };
}

/** The traces `start` ≤ i < `end` that have a score, lowest first. */
function sortedByScore(scores: Float64Array, start: number, end: number): Uint32Array {
  return Uint32Array.from({ length: end - start }, (_, i) => start + i)
    .filter((trace) => !Number.isNaN(scores[trace]))
    .sort((a, b) => scores[a]! - scores[b]!);
}

/** Runs of equal scores. */
function* tiesOf(sorted: Uint32Array, scores: Float64Array): Generator<{ start: number; end: number }> {
  for (let start = 0, end = 0; start < sorted.length; start = end) {
    const score = scores[sorted[start]!];
    while (end < sorted.length && scores[sorted[end]!] === score) end++;
    yield { start, end };
  }
}
