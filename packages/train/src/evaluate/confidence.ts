import { MEASURES, type Measure, PARTS } from '../scores/confidence.js';
import type { ConfidenceColumns } from '../scores/confidence-columns.js';
import type { ScoreTable } from '../scores/score-table.js';
import type { Statistic, WithFigures } from './bootstrap.js';
import { partialScores } from './partial-scores.js';
import { type Ranking, type RankStatistics, rankDifferences } from './ranks.js';
import {
  type ScoreRule,
  type VoteOptions,
  type VoteStatistics,
  voteDifferences,
  voteStatistics,
} from './vote-statistics.js';
import { confidentVotes } from './votes.js';

/** DeepConf-low and -high: the votes of the most confident 10 % and 90 % of the traces. */
const FILTERS = [confidentVotes('top10_filtered', 0.1), confidentVotes('top90_filtered', 0.9)] as const;
type Filter = (typeof FILTERS)[number]['name'];

type BySize<Value> = Readonly<Record<string, Value>>;
type Votes = BySize<VoteStatistics<Filter>>;
type VoteDifferences = BySize<Record<ScoreRule<Filter>, Statistic>>;

/** What the confidences of a model in its tokens are worth beside a scorer, and together with it. */
export interface ConfidenceStudy {
  /** Traces with a confidence. */
  readonly traces: number;
  /** The same votes by the scorer's scores. */
  readonly scorer: { readonly n: Votes };
  /** Those that the file has. */
  readonly measures: Readonly<Partial<Record<Measure, MeasureStudy>>>;
}

export type ConfidenceFigures = WithFigures<ConfidenceStudy>;
export type MeasureFigures = WithFigures<MeasureStudy>;

const TITLES: Readonly<Record<Measure, string>> = {
  mean: 'mean',
  tail: 'tail',
  bottom_group: 'bottom 10 % groups',
  lowest_group: 'lowest group',
  mean_logprob: 'mean log-prob.',
};

/** The measures that there are, with their names as they are shown. */
export function inTitles(measures: ConfidenceFigures['measures']): { title: string; figures: MeasureFigures }[] {
  return MEASURES.flatMap((measure) => {
    const figures = measures[measure];
    return figures ? [{ title: TITLES[measure], figures }] : [];
  });
}

/** Ranks are of the traces that have both a score and the measure. */
interface MeasureStudy {
  readonly n: Votes;
  readonly auc: RankStatistics;
  readonly auc_by_fraction: Readonly<Record<string, RankStatistics>>;
  /** By how much the scorer does better. */
  readonly scorer_minus: {
    readonly n: VoteDifferences;
    readonly auc: RankStatistics;
    readonly auc_by_fraction: Readonly<Record<string, RankStatistics>>;
  };
  /** Both together: the mean of the ranks, among all traces, of the score and the measure. */
  readonly with_scorer: {
    readonly n: Votes;
    readonly auc: RankStatistics;
    readonly minus_scorer: { readonly n: VoteDifferences; readonly auc: RankStatistics };
    readonly minus_confidence: { readonly n: VoteDifferences; readonly auc: RankStatistics };
  };
}

export async function confidenceStudy(
  table: ScoreTable,
  columns: ConfidenceColumns,
  ranking: Ranking,
  voting: Omit<VoteOptions<never>, 'filters' | 'onProgress'> & { onVotes(by: string, questions: number): void },
): Promise<ConfidenceStudy> {
  const votesBy = (by: string, scores: Float64Array): Promise<Votes> =>
    voteStatistics(table, scores, { ...voting, filters: FILTERS, onProgress: (done) => voting.onVotes(by, done) });
  const votesOfScorer = await votesBy('score', table.scores);

  /** How a measure ranks the traces that the scorer has scored too, and how the scorer ranks those. */
  function compareRanks(values: Float64Array, scores: Float64Array) {
    const own = ranking(whereKnown(values, scores));
    const scorer = ranking(whereKnown(scores, values));
    return { own, scorer, scorerMinus: rankDifferences(scorer, own) };
  }

  async function study(measure: Measure): Promise<MeasureStudy> {
    const values = columns.whole[measure];
    const { own, scorer, scorerMinus } = compareRanks(values, table.scores);
    const parts = PARTS.map((part) => {
      const scores = partialScores(table, { kind: 'mean' }, Number(part));
      return [part, compareRanks(columns.parts[part][measure], scores)] as const;
    });
    const whole = compareRanks(values, partialScores(table, { kind: 'mean' }));
    const byFraction = Object.fromEntries([...parts, ['1', whole] as const]);

    const both = meanOfRanks(table.scores, values);
    const votes = await votesBy(measure, weightsOf(measure, values));
    const votesOfBoth = await votesBy(`score and ${measure}`, both);
    const ranksOfBoth = ranking(both);
    return {
      n: votes,
      auc: own,
      auc_by_fraction: mapValues(byFraction, ({ own }) => own),
      scorer_minus: {
        n: voteDifferences(votesOfScorer, votes, FILTERS),
        auc: scorerMinus,
        auc_by_fraction: mapValues(byFraction, ({ scorerMinus }) => scorerMinus),
      },
      with_scorer: {
        n: votesOfBoth,
        auc: ranksOfBoth,
        minus_scorer: {
          n: voteDifferences(votesOfBoth, votesOfScorer, FILTERS),
          auc: rankDifferences(ranksOfBoth, scorer),
        },
        minus_confidence: {
          n: voteDifferences(votesOfBoth, votes, FILTERS),
          auc: rankDifferences(ranksOfBoth, own),
        },
      },
    };
  }

  const isKnown = (value: number): boolean => !Number.isNaN(value);
  const known = MEASURES.filter((measure) => columns.whole[measure].some(isKnown));
  const measures: Partial<Record<Measure, MeasureStudy>> = {};
  for (const measure of known) measures[measure] = await study(measure);
  return {
    traces: table.scores.filter((_, i) => known.some((measure) => isKnown(columns.whole[measure][i]!))).length,
    scorer: { n: votesOfScorer },
    measures,
  };
}

/** What a vote weighs: a log-probability is none, its exponential is the geometric mean of the tokens' probabilities. */
function weightsOf(measure: Measure, values: Float64Array): Float64Array {
  return measure === 'mean_logprob' ? values.map(Math.exp) : values;
}

/** [N]: the values where the others are known too. */
function whereKnown(values: Float64Array, others: Float64Array): Float64Array {
  return values.map((value, i) => (Number.isNaN(others[i]) ? Number.NaN : value));
}

/** [N], 0 … 1: the mean of the places that two scores give a trace; NaN where it lacks one of them. */
function meanOfRanks(scores: Float64Array, others: Float64Array): Float64Array {
  const ranks = ranksOf(whereKnown(scores, others));
  const otherRanks = ranksOf(whereKnown(others, scores));
  return ranks.map((rank, i) => (rank + otherRanks[i]!) / 2);
}

/** [N]: (rank − 1/2) / number of values, equal values sharing their mean rank; NaN where there is no value. */
function ranksOf(values: Float64Array): Float64Array {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  return values.map((value) => {
    if (Number.isNaN(value)) return Number.NaN;
    const below = countWhile(sorted, (other) => other < value);
    const notAbove = countWhile(sorted, (other) => other <= value);
    return (below + notAbove) / (2 * sorted.length);
  });
}

/** How many of the first of sorted values hold a condition that none after them holds. */
function countWhile(sorted: Float64Array, holds: (value: number) => boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(sorted[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function mapValues<Value, Result>(
  record: Record<string, Value>,
  map: (value: Value) => Result,
): Record<string, Result> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
