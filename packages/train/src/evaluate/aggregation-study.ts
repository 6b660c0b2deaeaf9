import { permutation, randomStream } from '@scorer/core/random';
import { type Aggregation, nameOf } from '../scores/aggregate.js';
import type { ScoreTable } from '../scores/score-table.js';
import { ratioOf, type Statistic } from './bootstrap.js';
import { partialScores } from './partial-scores.js';
import { pairsWithinQuestions } from './ranks.js';

/** The aggregations that are compared; of each row the best setting. */
const CANDIDATES: readonly (readonly Aggregation[])[] = [
  [{ kind: 'mean' }],
  [{ kind: 'last' }],
  [{ kind: 'min' }],
  [{ kind: 'product' }],
  [0.5, 0.7, 0.8, 0.9, 0.95].map((decay) => ({ kind: 'exp_mean', decay })),
  [2, 4, 8, 16, 32].map((k) => ({ kind: 'last_k', k })),
];

/** How ways to make one score of a trace's steps compare, by their AUC within questions. */
export interface AggregationStudy {
  /** Questions with both labels on which settings and the best were chosen. */
  readonly chosen_on: number;
  /** The other ones, from which the figures come. */
  readonly reported_on: number;
  /** The best on the first half, by the name that `score --aggregate` takes. */
  readonly best: string;
  /** By name. */
  readonly aggregations: Readonly<Record<string, AggregationStatistics>>;
}

interface AggregationStatistics {
  readonly within_question: Statistic;
  /** The difference to the mean, on the same questions. */
  readonly minus_mean: Statistic;
}

/** Undefined where there are not two questions with both labels. */
export function aggregationStudy(table: ScoreTable, { seed }: { seed: number }): AggregationStudy | undefined {
  const aucs = CANDIDATES.map((settings) =>
    settings.map((aggregation) => ({ aggregation, ...aucByQuestion(table, aggregation) })),
  );
  const { hasBoth } = aucs[0]![0]!;
  const halves = splitInHalves(hasBoth, seed);
  if (!halves) return undefined;

  const onFirst = (values: Float64Array): number => ratioOf(values, halves.first)(halves.first);
  const best = <Study extends { auc: Float64Array }>(studies: readonly Study[]): Study =>
    studies.reduce((a, b) => (onFirst(b.auc) > onFirst(a.auc) ? b : a));
  const chosen = aucs.map(best);
  const mean = chosen[0]!.auc;
  const onSecond = (values: Float64Array): Statistic =>
    ratioOf(
      values.map((value, q) => value * halves.second[q]!),
      halves.second,
    );
  return {
    chosen_on: sum(halves.first),
    reported_on: sum(halves.second),
    best: nameOf(best(chosen).aggregation),
    aggregations: Object.fromEntries(
      chosen.map(({ aggregation, auc }) => [
        nameOf(aggregation),
        { within_question: onSecond(auc), minus_mean: onSecond(auc.map((value, q) => value - mean[q]!)) },
      ]),
    ),
  };
}

function aucByQuestion(table: ScoreTable, aggregation: Aggregation) {
  const { wins, pairs } = pairsWithinQuestions(table, partialScores(table, aggregation));
  return {
    auc: wins.map((won, q) => (pairs[q] === 0 ? 0 : won / pairs[q]!)),
    hasBoth: pairs.map((count) => Number(count > 0)),
  };
}

/** The questions that have what is studied in two halves at random, each as [Q] ones and zeros. */
export function splitInHalves(hasBoth: Float64Array, seed: number) {
  const questions = [...hasBoth.keys()].filter((q) => hasBoth[q] === 1);
  if (questions.length < 2) return undefined;
  const order = permutation(questions.length, randomStream(seed, 'halves of the questions'));
  const [first, second] = [new Float64Array(hasBoth.length), new Float64Array(hasBoth.length)];
  for (const [place, i] of order.entries()) (place < questions.length / 2 ? first : second)[questions[i]!] = 1;
  return { first, second };
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
