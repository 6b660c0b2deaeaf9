import type { ScoreTable } from '../scores/score-table.js';
import type { StepLabelColumns } from '../scores/step-label-columns.js';
import { splitInHalves } from './aggregation-study.js';
import { ratioOf, remembered, type Statistic, type WithFigures } from './bootstrap.js';

/** How well a scorer finds the first wrong step of a trace, or sees that there is none. */
export interface ProcessBenchStudy extends FirstErrors {
  /** A step is taken for wrong where its score lies below. */
  readonly threshold: number;
  /** Questions that the threshold was chosen on; null where it was given, or too few for that. */
  readonly chosen_on: number | null;
  /** Questions that the figures are of. */
  readonly reported_on: number;
  /** Of each source of the traces, where there are several, and the mean of their F1. */
  readonly sources?: Readonly<Record<string, FirstErrors>>;
  readonly mean_f1?: Statistic;
}

/** ProcessBench's figures (Zheng et al., arXiv 2412.06559, section 4). */
interface FirstErrors {
  /** Traces with labelled steps, and those of them that have a wrong one. */
  readonly traces: number;
  readonly wrong: number;
  /** Of the traces with a wrong step: the share whose first one is the first step below the threshold. */
  readonly error_accuracy: Statistic;
  /** Of the others: the share without a step below it. */
  readonly correct_accuracy: Statistic;
  /** The harmonic mean of the two. */
  readonly f1: Statistic;
}

export type ProcessBenchFigures = WithFigures<ProcessBenchStudy>;
export type FirstErrorFigures = WithFigures<FirstErrors>;

/** Where too little is known to choose one. */
const DEFAULT_THRESHOLD = 0.5;

/**
 * Finds the first errors by the scores of the labelled steps; others say nothing. A soft label is wrong below 0.5.
 * @param threshold given, or chosen for the best F1 on one half of the questions and reported on the other
 * @returns undefined where no step has a label
 */
export function processBenchStudy(
  table: ScoreTable,
  { values, sourceOf, sources }: StepLabelColumns,
  { threshold: given, seed }: { threshold?: number | undefined; seed: number },
): ProcessBenchStudy | undefined {
  const judged = judgedTraces(table, values);
  if (judged.length === 0) return undefined;

  const choice = given === undefined ? chooseThreshold(table.questionCount, judged, seed) : undefined;
  const { threshold = given ?? DEFAULT_THRESHOLD, chosenOn, reported = judged } = choice ?? {};
  const figuresOf = (traces: readonly JudgedTrace[]) => firstErrors(table.questionCount, traces, threshold);
  const bySource = sources.flatMap((name, source): [string, FirstErrors][] => {
    const traces = reported.filter(({ trace }) => sourceOf[trace] === source);
    return traces.length === 0 ? [] : [[name, figuresOf(traces)]];
  });
  return {
    threshold,
    chosen_on: chosenOn ?? null,
    reported_on: questionsOf(reported).size,
    ...figuresOf(reported),
    ...(bySource.length > 1 && {
      sources: Object.fromEntries(bySource),
      mean_f1: meanOfStatistics(bySource.map(([, { f1 }]) => f1)),
    }),
  };
}

/** A trace is judged rightly by the thresholds above `low`, up to `high`. */
interface JudgedTrace {
  readonly trace: number;
  readonly question: number;
  readonly isWrong: boolean;
  /** Score of the first wrong step; -∞ where there is none. */
  readonly low: number;
  /** The lowest score of the labelled steps before that; ∞ where there is none. */
  readonly high: number;
}

export function judgedTraces(
  { questionCount, traceOffsets, stepOffsets, stepScores }: ScoreTable,
  labels: Float64Array,
) {
  const judged: JudgedTrace[] = [];
  for (let question = 0; question < questionCount; question++) {
    for (let trace = traceOffsets[question]!; trace < traceOffsets[question + 1]!; trace++) {
      let [hasLabel, isWrong, low, high] = [false, false, -Infinity, Infinity];
      for (let step = stepOffsets[trace]!; step < stepOffsets[trace + 1]! && !isWrong; step++) {
        if (Number.isNaN(labels[step])) continue;
        hasLabel = true;
        isWrong = labels[step]! < 0.5;
        if (isWrong) low = stepScores[step]!;
        else high = Math.min(high, stepScores[step]!);
      }
      if (hasLabel) judged.push({ trace, question, isWrong, low, high });
    }
  }
  return judged;
}

function isJudgedRightly({ low, high }: JudgedTrace, threshold: number): boolean {
  return low < threshold && threshold <= high;
}

function firstErrors(questionCount: number, traces: readonly JudgedTrace[], threshold: number): FirstErrors {
  const [wrong, foundWrong, right, foundRight] = Array.from({ length: 4 }, () => new Float64Array(questionCount));
  for (const judged of traces) {
    const [all, found] = judged.isWrong ? [wrong!, foundWrong!] : [right!, foundRight!];
    all[judged.question]! += 1;
    found[judged.question]! += Number(isJudgedRightly(judged, threshold));
  }
  const error_accuracy = remembered(ratioOf(foundWrong!, wrong!));
  const correct_accuracy = remembered(ratioOf(foundRight!, right!));
  return {
    traces: traces.length,
    wrong: traces.filter(({ isWrong }) => isWrong).length,
    error_accuracy,
    correct_accuracy,
    f1: remembered((counts) => harmonicMean(error_accuracy(counts), correct_accuracy(counts))),
  };
}

/** The threshold of the best F1 on one half of the questions, and the traces of the other; undefined where a half lacks a kind of trace. */
function chooseThreshold(questionCount: number, traces: readonly JudgedTrace[], seed: number) {
  const isJudged = new Float64Array(questionCount);
  for (const { question } of traces) isJudged[question] = 1;
  const halves = splitInHalves(isJudged, seed);
  if (!halves) return undefined;
  const [chosen, reported] = [halves.first, halves.second].map((half) =>
    traces.filter(({ question }) => half[question] === 1),
  ) as [JudgedTrace[], JudgedTrace[]];
  const hasBoth = (side: readonly JudgedTrace[]): boolean => new Set(side.map(({ isWrong }) => isWrong)).size === 2;
  if (!hasBoth(chosen) || !hasBoth(reported)) return undefined;
  return { threshold: bestThreshold(chosen), chosenOn: questionsOf(chosen).size, reported };
}

/**
 * What is judged rightly changes at the traces' `low` and `high` only, so thresholds in the middle between two of these
 * are all there are; of equally good ones that next to 0.5 is taken.
 */
export function bestThreshold(traces: readonly JudgedTrace[]): number {
  const counts = { right: 0, wrong: 0 };
  const found = { right: 0, wrong: 0 };
  const changes: { at: number; kind: keyof typeof found; by: 1 | -1 }[] = [];
  for (const { isWrong, low, high } of traces) {
    const kind = isWrong ? 'wrong' : 'right';
    counts[kind] += 1;
    if (low >= high) continue;
    changes.push({ at: Math.max(low, 0), kind, by: 1 });
    if (high < 1) changes.push({ at: high, kind, by: -1 });
  }
  changes.sort((a, b) => a.at - b.at);

  let best = { threshold: DEFAULT_THRESHOLD, f1: -1 };
  for (const [i, { at, kind, by }] of changes.entries()) {
    found[kind] += by;
    const next = changes[i + 1]?.at ?? 1;
    if (next <= at) continue;
    const threshold = (at + next) / 2;
    const f1 = harmonicMean(found.wrong / counts.wrong, found.right / counts.right);
    const isNearer = Math.abs(threshold - DEFAULT_THRESHOLD) < Math.abs(best.threshold - DEFAULT_THRESHOLD);
    if (f1 > best.f1 || (f1 === best.f1 && isNearer)) best = { threshold, f1 };
  }
  return best.threshold;
}

function harmonicMean(a: number, b: number): number {
  return a + b === 0 ? 0 : (2 * a * b) / (a + b);
}

function questionsOf(traces: readonly JudgedTrace[]): Set<number> {
  return new Set(traces.map(({ question }) => question));
}

function meanOfStatistics(statistics: readonly Statistic[]): Statistic {
  return (counts) => statistics.reduce((sum, statistic) => sum + statistic(counts), 0) / statistics.length;
}
