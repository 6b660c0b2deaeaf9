import { setImmediate } from 'node:timers/promises';
import type { ScoreTable } from '../scores/score-table.js';
import { differenceOf, meanOf, type Statistic } from './bootstrap.js';
import { randomOrders } from './subsets.js';
import { type Outcome, outcomeOf, RULES, type Rule, rankTraces } from './votes.js';

/** How many of a question's traces vote: so many, or all. */
export type SampleSize = number | 'all';

type Compared = Exclude<Rule, 'majority'>;

/** Accuracy of each rule over the questions, and its difference to the majority vote's on the same traces. */
export type VoteStatistics = Record<Rule | `${Compared}_minus_majority`, Statistic>;

/** The rules that go by the scores. */
type ScoreRule = 'weighted' | 'best_of_n' | 'filtered';

export interface VoteOptions {
  readonly sizes: readonly SampleSize[];
  /** Random subsets of the traces of a question that has more than N. */
  readonly subsets: number;
  readonly seed: number;
  readonly top: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((questions: number) => void) | undefined;
}

/**
 * The votes of N traces of each question, for each N: of all of them where there are no more, else the mean over
 * seeded subsets.
 * @param scores [N]: of each trace of the table; NaN for none
 */
export async function voteStatistics(
  table: ScoreTable,
  scores: Float64Array,
  options: VoteOptions,
): Promise<Record<string, VoteStatistics>> {
  const { sizes, signal, onProgress } = options;
  const accuracies = sizes.map(() => RULES.map(() => new Float64Array(table.questionCount)));
  for (let q = 0; q < table.questionCount; q++) {
    for (const [i, outcome] of outcomesOf(table, q, scores, options).entries()) {
      for (const [r, rule] of RULES.entries()) accuracies[i]![r]![q] = outcome[rule];
    }
    if (q % QUESTIONS_PER_TURN === 0) {
      await setImmediate();
      signal?.throwIfAborted();
      onProgress?.(q);
    }
  }
  return Object.fromEntries(sizes.map((size, i) => [String(size), statisticsOf(accuracies[i]!)]));
}

/** By how much votes by one set of scores do better than by another, for each N. */
export function voteDifferences(
  votes: Record<string, VoteStatistics>,
  others: Record<string, VoteStatistics>,
): Record<string, Record<ScoreRule, Statistic>> {
  const differences = (size: string): Record<ScoreRule, Statistic> => {
    const of = (rule: ScoreRule): Statistic => differenceOf(votes[size]![rule], others[size]![rule]);
    return { weighted: of('weighted'), best_of_n: of('best_of_n'), filtered: of('filtered') };
  };
  return Object.fromEntries(Object.keys(votes).map((size) => [size, differences(size)]));
}

/** Timers and signals get a turn that often. */
const QUESTIONS_PER_TURN = 16;

/** The mean outcome for each size. */
function outcomesOf(table: ScoreTable, q: number, scores: Float64Array, options: VoteOptions): Outcome[] {
  const { sizes, subsets, top } = options;
  const count = table.traceOffsets[q + 1]! - table.traceOffsets[q]!;
  const traces = rankTraces(table, q, scores);
  const allRanks = Uint32Array.from({ length: count }, (_, rank) => rank);
  const ofAll = outcomeOf(traces, allRanks, { top });
  const parts = [...new Set(sizes)].filter((size) => size !== 'all').filter((size) => size < count);
  const sums = new Map(parts.sort((a, b) => b - a).map((size): [SampleSize, Outcome] => [size, { ...NONE }]));
  if (sums.size === 0) return sizes.map(() => ofAll);

  const placeOf = new Uint32Array(count);
  const ranks = new Uint32Array(count);
  for (const order of randomOrders(table.questions[q]!, count, options)) {
    for (const [place, trace] of order.entries()) placeOf[traces.rankOf[trace]!] = place;
    // From large to small: each subset holds the next one, and its ranks ascend.
    ranks.set(allRanks);
    let length = count;
    for (const [size, sum] of sums) {
      let kept = 0;
      for (let i = 0; i < length; i++) if (placeOf[ranks[i]!]! < (size as number)) ranks[kept++] = ranks[i]!;
      length = kept;
      const outcome = outcomeOf(traces, ranks.subarray(0, length), { top });
      for (const rule of RULES) sum[rule] += outcome[rule];
    }
  }
  for (const sum of sums.values()) for (const rule of RULES) sum[rule] /= subsets;
  return sizes.map((size) => sums.get(size) ?? ofAll);
}

const NONE: Outcome = { single: 0, majority: 0, weighted: 0, best_of_n: 0, filtered: 0, oracle: 0 };

/** @param accuracies [rules][Q] */
function statisticsOf(accuracies: readonly Float64Array[]): VoteStatistics {
  const of = Object.fromEntries(RULES.map((rule, r) => [rule, accuracies[r]!])) as Record<Rule, Float64Array>;
  const difference = (rule: Compared): Statistic => meanOf(of[rule].map((value, q) => value - of.majority[q]!));
  return {
    single: meanOf(of.single),
    majority: meanOf(of.majority),
    weighted: meanOf(of.weighted),
    best_of_n: meanOf(of.best_of_n),
    filtered: meanOf(of.filtered),
    oracle: meanOf(of.oracle),
    single_minus_majority: difference('single'),
    weighted_minus_majority: difference('weighted'),
    best_of_n_minus_majority: difference('best_of_n'),
    filtered_minus_majority: difference('filtered'),
    oracle_minus_majority: difference('oracle'),
  };
}
