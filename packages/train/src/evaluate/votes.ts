import type { ScoreTable } from '../scores/score-table.js';

/** The ways to come to one answer from N traces of a question, beside the filtered votes. */
export type Rule = 'single' | 'majority' | 'weighted' | 'best_of_n' | 'oracle';

/** A vote of the best traces alone. */
export interface FilteredVote<Name extends string = string> {
  readonly name: Name;
  /** How many of so many votes are kept, 1 or more; all that tie with the last of them stay too. */
  keep(votes: number): number;
  /** Whether the votes that are kept count alike or by their scores. */
  readonly weights: 'equal' | 'scores';
}

/** For each rule the chance that its answer is right. But for `single` only ties make it anything but 0 or 1. */
export type Outcome<Filter extends string = never> = Record<Rule | Filter, number>;

/** The traces of one question by the rank of their scores: the best first, those without a score last. */
export interface RankedTraces {
  /** [T]: rank of the question's i-th trace; equal scores keep their order. */
  readonly rankOf: Uint32Array;
  /** [T] by rank: 1 = right. */
  readonly labels: Uint8Array;
  /** [T] by rank: number of the answer, -1 for none. */
  readonly answers: Int32Array;
  /** [T] by rank; -Infinity for none. */
  readonly scores: Float64Array;
  /** Room for a count: made once, because outcomes are taken by the million. */
  readonly ballot: Ballot;
}

/** Sums for each answer to a question. */
interface Ballot {
  readonly votes: Float64Array;
  readonly rightVotes: Float64Array;
  readonly weights: Float64Array;
}

/** @param scores [N]: of every trace of the table; NaN for none */
export function rankTraces(table: ScoreTable, question: number, scores: Float64Array): RankedTraces {
  const [start, end] = [table.traceOffsets[question]!, table.traceOffsets[question + 1]!];
  const scoreOf = scores.slice(start, end).map((score) => (Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score));
  const order = Uint32Array.from(scoreOf.keys()).sort((a, b) => compareFalling(scoreOf[a]!, scoreOf[b]!) || a - b);
  const rankOf = new Uint32Array(order.length);
  for (const [rank, trace] of order.entries()) rankOf[trace] = rank;
  const sums = (): Float64Array => new Float64Array(table.answerTexts[question]!.length);
  return {
    rankOf,
    labels: Uint8Array.from(order, (trace) => table.labels[start + trace]!),
    answers: Int32Array.from(order, (trace) => table.answers[start + trace]!),
    scores: Float64Array.from(order, (trace) => scoreOf[trace]!),
    ballot: { votes: sums(), rightVotes: sums(), weights: sums() },
  };
}

/** Sums of weights that differ by no more than rounding are equal. */
const TOLERANCE = 1e-12;

/**
 * What each rule makes of some traces of a question.
 *
 * - single: a trace at random.
 * - majority: the answer with the most votes.
 * - weighted: the answer with the greatest sum of scores. A score below 0 weighs nothing, as a missing one; where no
 *   vote weighs anything, it is the majority's.
 * - best_of_n: the trace with the highest score; where none has one, a trace at random.
 * - filtered: the majority's, or the weighted vote's, among the best of the votes.
 * - oracle: right where any trace is (pass@N).
 *
 * A trace without an answer has no vote; where there is no vote at all, the answer is wrong. Where several answers or
 * traces are the best, each is taken with the same chance. Where the traces that gave the winning answer bear different
 * labels, made by another grader than the one that put them together, it is right with their mean.
 * @param ranks of the traces, ascending, at least one
 */
export function outcomeOf<Filter extends string>(
  traces: RankedTraces,
  ranks: Uint32Array,
  filters: readonly FilteredVote<Filter>[],
): Outcome<Filter> {
  const { labels, answers, scores, ballot } = traces;
  clear(ballot);
  const bestScore = scores[ranks[0]!]!;
  let [right, best, bestRight, voters] = [0, 0, 0, 0];
  for (let i = 0; i < ranks.length; i++) {
    const rank = ranks[i]!;
    right += labels[rank]!;
    if (scores[rank] === bestScore) {
      best += 1;
      bestRight += labels[rank]!;
    }
    if (answers[rank]! < 0) continue;
    voters += 1;
    cast(traces, rank);
  }
  const majority = equalVote(ballot);
  const weighted = weightedVote(ballot);
  const outcome: Outcome<string> = {
    single: right / ranks.length,
    majority,
    weighted,
    best_of_n: bestRight / best,
    oracle: Number(right > 0),
  };
  for (const { name, keep, weights } of filters) {
    const kept = keep(voters);
    if (kept < voters) countBest(traces, ranks, kept);
    outcome[name] = kept < voters ? VOTES[weights](ballot) : weights === 'equal' ? majority : weighted;
  }
  return outcome;
}

/** Casts the first `keep` votes by rank, and those that score as the last of them. */
function countBest(traces: RankedTraces, ranks: Uint32Array, keep: number): void {
  const { answers, scores, ballot } = traces;
  clear(ballot);
  let [kept, lastScore] = [0, Number.NaN];
  for (let i = 0; i < ranks.length; i++) {
    const rank = ranks[i]!;
    if (answers[rank]! < 0) continue;
    if (kept >= keep && scores[rank] !== lastScore) break;
    kept += 1;
    lastScore = scores[rank]!;
    cast(traces, rank);
  }
}

const equalVote = (ballot: Ballot): number => shareOfWinner(ballot, ballot.votes);

const weightedVote = (ballot: Ballot): number =>
  shareOfWinner(ballot, ballot.weights.some((weight) => weight > 0) ? ballot.weights : ballot.votes);

const VOTES = { equal: equalVote, scores: weightedVote } as const;

/** The best `top` of the votes, rounded up, count alike. */
export function bestVotes<Name extends string>(name: Name, top: number): FilteredVote<Name> {
  return { name, keep: (votes) => Math.ceil(top * votes - TOLERANCE), weights: 'equal' };
}

/**
 * The vote of DeepConf (arXiv 2508.15260, section 3.2): weighted, of the traces whose confidence is not below the
 * percentile 1 − `top`, taken as numpy does, between the values next to it.
 */
export function confidentVotes<Name extends string>(name: Name, top: number): FilteredVote<Name> {
  return { name, keep: (votes) => 1 + Math.floor(top * (votes - 1) + TOLERANCE), weights: 'scores' };
}

function clear({ votes, rightVotes, weights }: Ballot): void {
  votes.fill(0);
  rightVotes.fill(0);
  weights.fill(0);
}

function cast({ labels, answers, scores, ballot }: RankedTraces, rank: number): void {
  const answer = answers[rank]!;
  ballot.votes[answer]! += 1;
  ballot.rightVotes[answer]! += labels[rank]!;
  if (scores[rank]! > 0) ballot.weights[answer]! += scores[rank]!;
}

/** The chance that the answer with the greatest sum is right; 0 where there is no vote. */
function shareOfWinner({ votes, rightVotes }: Ballot, sums: Float64Array): number {
  let greatest = 0;
  for (let answer = 0; answer < sums.length; answer++) greatest = Math.max(greatest, sums[answer]!);
  if (greatest === 0) return 0;
  let [winners, share] = [0, 0];
  for (let answer = 0; answer < sums.length; answer++) {
    if (sums[answer]! < greatest * (1 - TOLERANCE)) continue;
    winners += 1;
    share += rightVotes[answer]! / votes[answer]!;
  }
  return share / winners;
}

function compareFalling(a: number, b: number): number {
  if (a === b) return 0;
  return a > b ? -1 : 1;
}
