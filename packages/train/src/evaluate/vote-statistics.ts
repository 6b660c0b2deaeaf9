import { setImmediate } from 'node:timers/promises';
import type { ScoreTable } from '../scores/score-table.js';
import { differenceOf, meanOf, type Statistic } from './bootstrap.js';
import { randomOrders } from './subsets.js';
import { type FilteredVote, type Outcome, outcomeOf, type Rule, rankTraces } from './votes.js';

/** How many of a question's traces vote: so many, or all. */
export type SampleSize = number | 'all';

/** Accuracy of each rule over the questions, and its difference to the majority vote's on the same traces. */
export type VoteStatistics<Filter extends string> = Record<
  Rule | Filter | `${Exclude<Rule, 'majority'> | Filter}_minus_majority`,
  Statistic
>;

/** The rules that go by the scores. */
export type ScoreRule<Filter extends string> = 'weighted' | 'best_of_n' | Filter;

export interface VoteOptions<Filter extends string> {
  readonly sizes: readonly SampleSize[];
  readonly filters: readonly FilteredVote<Filter>[];
  /** Random subsets of the traces of a question that has more than N. */
  readonly subsets: number;
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((questions: number) => void) | undefined;
}

/**
 * The votes of N traces of each question, for each N: of all of them where there are no more, else the mean over
 * seeded subsets.
 * @param scores [N]: of each trace of the table; NaN for none
 */
export async function voteStatistics<Filter extends string>(
  table: ScoreTable,
  scores: Float64Array,
  options: VoteOptions<Filter>,
): Promise<Record<string, VoteStatistics<Filter>>> {
  const { sizes, filters, signal, onProgress } = options;
  const rules = rulesWith(filters);
  const accuracies = sizes.map(() => rules.map((rule) => ({ rule, values: new Float64Array(table.questionCount) })));
  for (let q = 0; q < table.questionCount; q++) {
    for (const [i, outcome] of outcomesOf(table, q, scores, options).entries()) {
      for (const { rule, values } of accuracies[i]!) values[q] = outcome[rule];
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
export function voteDifferences<Filter extends string>(
  votes: Record<string, Record<ScoreRule<Filter>, Statistic>>,
  others: Record<string, Record<ScoreRule<Filter>, Statistic>>,
  filters: readonly FilteredVote<Filter>[],
): Record<string, Record<ScoreRule<Filter>, Statistic>> {
  const rules = ['weighted', 'best_of_n', ...filters.map(({ name }) => name)] as const;
  const differences = (size: string) =>
    recordOf(rules, (rule) => differenceOf(votes[size]![rule], others[size]![rule]));
  return recordOf(Object.keys(votes), differences);
}

/** In the order in which they are shown. */
function rulesWith<Filter extends string>(filters: readonly FilteredVote<Filter>[]): (Rule | Filter)[] {
  return ['single', 'majority', 'weighted', 'best_of_n', ...filters.map(({ name }) => name), 'oracle'];
}

function recordOf<Key extends string, Value>(keys: readonly Key[], value: (key: Key) => Value): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<Key, Value>;
}

/** Timers and signals get a turn that often. */
const QUESTIONS_PER_TURN = 16;

/** The mean outcome for each size. */
function outcomesOf<Filter extends string>(
  table: ScoreTable,
  q: number,
  scores: Float64Array,
  options: VoteOptions<Filter>,
): Outcome<Filter>[] {
  const { sizes, filters, subsets } = options;
  const rules = rulesWith(filters);
  const count = table.traceOffsets[q + 1]! - table.traceOffsets[q]!;
  const traces = rankTraces(table, q, scores);
  const allRanks = Uint32Array.from({ length: count }, (_, rank) => rank);
  const ofAll = outcomeOf(traces, allRanks, filters);
  const parts = [...new Set(sizes)].filter((size) => size !== 'all').filter((size) => size < count);
  const sums = new Map(parts.sort((a, b) => b - a).map((size) => [size as SampleSize, recordOf(rules, () => 0)]));
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
      const outcome = outcomeOf(traces, ranks.subarray(0, length), filters);
      for (const rule of rules) sum[rule] += outcome[rule];
    }
  }
  for (const sum of sums.values()) for (const rule of rules) sum[rule] /= subsets;
  return sizes.map((size) => sums.get(size) ?? ofAll);
}

function statisticsOf<Filter extends string>(
  accuracies: readonly { rule: Rule | Filter; values: Float64Array }[],
): VoteStatistics<Filter> {
  const majority = accuracies.find(({ rule }) => rule === 'majority')!.values;
  const differences = accuracies.filter(({ values }) => values !== majority);
  return Object.fromEntries([
    ...accuracies.map(({ rule, values }) => [rule, meanOf(values)]),
    ...differences.map(({ rule, values }) => [
      `${rule}_minus_majority`,
      meanOf(values.map((value, q) => value - majority[q]!)),
    ]),
  ]) as VoteStatistics<Filter>;
}
