import type { Policy, StoppingKind } from './policy.js';
import type { Timelines } from './timelines.js';

const THRESHOLD_QUANTILES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
const WARMUPS = [1, 2, 4, 8];
const PATIENCES = [2, 3, 5];
/** Of the median length of a trace. */
const CHECKPOINT_SHARES = [1 / 8, 1 / 4, 1 / 2, 3 / 4];
/** Of what a question needs when nothing is stopped. */
const NEED_SHARES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/** As many traces as DeepConf warms up with, and fewer; the shares are those of its low and high, and between. */
const CONFIDENCE_WARMUPS = [2, 4, 8, 16];
const CONFIDENCE_TOPS = [0.1, 0.25, 0.5, 0.75, 0.9];

/** Quantiles need no more values than this. */
const QUANTILE_SAMPLE = 100_000;

/**
 * The settings that are tried: thresholds from the spread of the scores, numbers of tokens from the lengths of the
 * traces, all of the given questions.
 */
export function policyGrid(
  timelines: Timelines,
  questions: Uint32Array,
  kinds: readonly StoppingKind[],
): readonly Policy[] {
  const statistics = describeQuestions(timelines, questions);
  const grids: Record<StoppingKind, () => Policy[]> = {
    threshold: () =>
      WARMUPS.flatMap((warmup) => statistics.meanQuantiles.map((below) => ({ kind: 'threshold', below, warmup }))),
    patience: () =>
      PATIENCES.flatMap((steps) => statistics.scoreQuantiles.map((below) => ({ kind: 'patience', below, steps }))),
    'keep-top': () => keepTopGrid(statistics),
    memory: () =>
      distinct(NEED_SHARES.map((share) => share * statistics.medianPeak)).map((tokens) => ({ kind: 'memory', tokens })),
    budget: () =>
      distinct(NEED_SHARES.map((share) => share * statistics.medianTotal)).map((tokens) => ({
        kind: 'budget',
        tokens,
      })),
    confidence: () =>
      CONFIDENCE_WARMUPS.filter((warmup) => warmup < statistics.mostTraces).flatMap((warmup) =>
        CONFIDENCE_TOPS.map((top) => ({ kind: 'confidence', warmup, top })),
      ),
  };
  const fewer = keepCounts(statistics.mostTraces).map((traces): Policy => ({ kind: 'fewer', traces }));
  return [{ kind: 'none' }, ...kinds.flatMap((kind) => grids[kind]()), ...fewer];
}

function keepTopGrid({ medianLength, mostTraces }: QuestionStatistics): Policy[] {
  const counts = keepCounts(mostTraces);
  const single = CHECKPOINT_SHARES.flatMap((share) =>
    counts.map((keep) => [{ tokens: Math.round(share * medianLength), keep }]),
  );
  // Successive halving: k at an eighth, k / 2 at a quarter, k / 4 at a half.
  const halving = counts
    .filter((keep) => keep >= 4)
    .map((keep) => [1, 2, 4].map((n) => ({ tokens: Math.round((n * medianLength) / 8), keep: Math.floor(keep / n) })));
  return [...single, ...halving].map((checkpoints) => ({ kind: 'keep-top', checkpoints }));
}

/** 1, 2, 3, 4, 6, 8, 12, 16, … under n. */
function keepCounts(n: number): number[] {
  const counts = [];
  for (let power = 1; power < n; power *= 2) {
    counts.push(power);
    if (power > 1 && 1.5 * power < n) counts.push(1.5 * power);
  }
  return counts;
}

interface QuestionStatistics {
  readonly meanQuantiles: readonly number[];
  readonly scoreQuantiles: readonly number[];
  /** Tokens of a trace. */
  readonly medianLength: number;
  /** Most tokens that a question's running traces hold at once. */
  readonly medianPeak: number;
  /** Tokens of all traces of a question. */
  readonly medianTotal: number;
  readonly mostTraces: number;
}

function describeQuestions(timelines: Timelines, questions: Uint32Array): QuestionStatistics {
  const { traceOffsets, tokens, stepOffsets, stepScores, runningMeans } = timelines;
  const steps: number[] = [];
  const lengths: number[] = [];
  const peaks: number[] = [];
  const totals: number[] = [];
  let mostTraces = 0;
  for (const question of questions) {
    const [first, end] = [traceOffsets[question]!, traceOffsets[question + 1]!];
    const own = tokens.slice(first, end).sort();
    let peak = 0;
    let total = 0;
    for (const [i, length] of own.entries()) {
      peak = Math.max(peak, length * (own.length - i));
      total += length;
      lengths.push(length);
    }
    peaks.push(peak);
    totals.push(total);
    mostTraces = Math.max(mostTraces, own.length);
    for (let step = stepOffsets[first]!; step < stepOffsets[end]!; step++) steps.push(step);
  }
  const stride = Math.ceil(steps.length / QUANTILE_SAMPLE);
  const sample = steps.filter((_, i) => i % stride === 0);
  return {
    meanQuantiles: quantiles(
      sample.map((step) => runningMeans[step]!),
      THRESHOLD_QUANTILES,
    ),
    scoreQuantiles: quantiles(
      sample.map((step) => stepScores[step]!),
      THRESHOLD_QUANTILES,
    ),
    medianLength: quantiles(lengths, [0.5])[0] ?? 0,
    medianPeak: quantiles(peaks, [0.5])[0] ?? 0,
    medianTotal: quantiles(totals, [0.5])[0] ?? 0,
    mostTraces,
  };
}

/** Empty where there are no values. */
function quantiles(values: readonly number[], shares: readonly number[]): number[] {
  const sorted = Float64Array.from(values).sort();
  const at = shares.map((share) => sorted[Math.floor(share * (sorted.length - 1))]);
  return [...new Set(at.filter((value) => value !== undefined))];
}

/** Whole numbers above 0, each once. */
function distinct(values: readonly number[]): number[] {
  return [...new Set(values.map(Math.round))].filter((value) => value > 0);
}
