import { setImmediate } from 'node:timers/promises';
import { randomStream } from '@scorer/core/random';
import { z } from 'zod';

/** More of them change no digit that is shown, and the figures of all of them are kept: gigabytes. */
const MAX_RESAMPLES = 100_000;
export const resamplesSchema = z.number().int().positive().max(MAX_RESAMPLES);

/** A figure and the interval that holds it with 95 % confidence; null where it is not defined. */
export interface Figure {
  value: number | null;
  ci95: readonly [low: number, high: number] | null;
}

/**
 * A figure of Q questions, by how often each of them counts, [Q], Q times in all; NaN where it is not defined for these.
 * Each question once gives the figure itself.
 */
export type Statistic = (counts: Float64Array) => number;

export interface BootstrapOptions {
  readonly resamples: number;
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** A value with a figure in the place of every statistic in it. */
export type WithFigures<Value> = Value extends Statistic
  ? Figure
  : Value extends object
    ? { [Key in keyof Value]: WithFigures<Value[Key]> }
    : Value;

/**
 * Intervals by the percentile bootstrap over questions (Efron & Tibshirani, An Introduction to the Bootstrap, 1993,
 * ch. 13): Q questions are drawn with replacement, their traces with them; the interval lies between the 2.5th and the
 * 97.5th percentile of the figures of all resamples in which they are defined. Every statistic sees the same resamples,
 * so a statistic of differences is a paired one.
 * @param plan statistics in arrays and objects, however deep
 */
export async function bootstrap<Plan>(
  questionCount: number,
  plan: Plan,
  { resamples, seed, signal, onProgress }: BootstrapOptions,
): Promise<WithFigures<Plan>> {
  const statistics = [...statisticsIn(plan)];
  const random = randomStream(seed, 'bootstrap over questions');
  const resampled = new Map(statistics.map((statistic) => [statistic, new Float64Array(resamples)]));
  for (let resample = 0; resample < resamples; resample++) {
    const counts = new Float64Array(questionCount);
    for (let draw = 0; draw < questionCount; draw++) counts[random.below(questionCount)]! += 1;
    for (const [statistic, samples] of resampled) samples[resample] = statistic(counts);
    if (resample % RESAMPLES_PER_TURN === 0) {
      await setImmediate();
      signal?.throwIfAborted();
      onProgress?.(resample);
    }
  }
  const once = new Float64Array(questionCount).fill(1);
  return replaceStatistics(plan, (statistic) => figure(statistic(once), resampled.get(statistic)!));
}

function* statisticsIn(value: unknown): Generator<Statistic> {
  if (isStatistic(value)) yield value;
  else if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) yield* statisticsIn(item);
  }
}

function replaceStatistics<Value>(value: Value, figureOf: (statistic: Statistic) => Figure): WithFigures<Value> {
  const replace = (item: unknown): unknown => {
    if (isStatistic(item)) return figureOf(item);
    if (Array.isArray(item)) return item.map(replace);
    if (typeof item !== 'object' || item === null) return item;
    return Object.fromEntries(Object.entries(item).map(([key, field]) => [key, replace(field)]));
  };
  return replace(value) as WithFigures<Value>;
}

function isStatistic(value: unknown): value is Statistic {
  return typeof value === 'function';
}

/** Timers and signals get a turn that often. */
const RESAMPLES_PER_TURN = 20;

function figure(value: number, resampled: Float64Array): Figure {
  const defined = resampled.filter((sample) => !Number.isNaN(sample)).sort();
  if (Number.isNaN(value) || defined.length === 0) return { value: null, ci95: null };
  return { value, ci95: [percentile(defined, 0.025), percentile(defined, 0.975)] };
}

/** Between the values next to it in proportion, as numpy's default. @param share 0 … 1 */
export function percentile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const [low, high] = [sorted[below]!, sorted[Math.min(below + 1, sorted.length - 1)]!];
  return low + (high - low) * (place - below);
}

/** The mean of a value of each question. */
export function meanOf(values: Float64Array): Statistic {
  return (counts) => {
    let sum = 0;
    for (let q = 0; q < counts.length; q++) sum += counts[q]! * values[q]!;
    return sum / counts.length;
  };
}

/** Σ numerators / Σ denominators over the questions. */
export function ratioOf(numerators: Float64Array, denominators: Float64Array): Statistic {
  return (counts) => {
    let [numerator, denominator] = [0, 0];
    for (let q = 0; q < counts.length; q++) {
      numerator += counts[q]! * numerators[q]!;
      denominator += counts[q]! * denominators[q]!;
    }
    return denominator === 0 ? Number.NaN : numerator / denominator;
  };
}

/** As the statistic, which is asked once for the same counts: for costly ones that differences ask for again. */
export function remembered(statistic: Statistic): Statistic {
  let last: { counts: Float64Array; value: number } | undefined;
  return (counts) => {
    if (last?.counts !== counts) last = { counts, value: statistic(counts) };
    return last.value;
  };
}

/** By how much one figure exceeds another, on the same questions. */
export function differenceOf(statistic: Statistic, other: Statistic): Statistic {
  return (counts) => statistic(counts) - other(counts);
}
