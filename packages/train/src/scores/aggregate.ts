import { z } from 'zod';

/** How the scores of a trace's steps s_1 … s_T become one. */
export type Aggregation =
  /** (s_1 + … + s_T) / T, as STEP. */
  | { readonly kind: 'mean' }
  /** s_T */
  | { readonly kind: 'last' }
  /** The least of all: a chain is as strong as its weakest link. */
  | { readonly kind: 'min' }
  /** s_1 · … · s_T, as if the steps were independent; long traces come down to 0. */
  | { readonly kind: 'product' }
  /** Σ decay^(T−t) · s_t / Σ decay^(T−t): between the last score (0) and the mean (1). */
  | { readonly kind: 'exp_mean'; readonly decay: number }
  /** The mean of the last k, or of all where there are fewer. */
  | { readonly kind: 'last_k'; readonly k: number };

const DEFAULT_DECAY = 0.9;
const DEFAULT_K = 8;

const PATTERN = /^(mean|last|min|product|exp_mean|last_k)(?::([\d.]+))?$/;

/** The aggregation of a name: `mean`, `last`, `min`, `product`, `exp_mean:0.8`, `last_k:4`, the last two also alone. */
export function parseAggregation(name: string): Aggregation | undefined {
  const [, kind, setting] = PATTERN.exec(name) ?? [];
  if (kind === 'exp_mean') {
    const decay = Number(setting ?? DEFAULT_DECAY);
    return decay > 0 && decay < 1 ? { kind, decay } : undefined;
  }
  if (kind === 'last_k') {
    const k = Number(setting ?? DEFAULT_K);
    return Number.isInteger(k) && k > 0 ? { kind, k } : undefined;
  }
  if (kind === undefined || setting !== undefined) return undefined;
  return { kind: kind as 'mean' | 'last' | 'min' | 'product' };
}

/** The name of an aggregation, with its setting. */
export const aggregationNameSchema = z.string().transform((name, context) => {
  const aggregation = parseAggregation(name);
  if (aggregation) return nameOf(aggregation);
  const message = `${name} is none of mean, last, min, product, exp_mean, exp_mean:0.8, last_k, last_k:4`;
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

/** The name that `parseAggregation` reads. */
export function nameOf(aggregation: Aggregation): string {
  switch (aggregation.kind) {
    case 'exp_mean':
      return `exp_mean:${aggregation.decay}`;
    case 'last_k':
      return `last_k:${aggregation.k}`;
    default:
      return aggregation.kind;
  }
}

/** The score of the steps `start` ≤ t < `end`; NaN where there are none. */
export function aggregate(
  scores: ArrayLike<number>,
  aggregation: Aggregation,
  start = 0,
  end: number = scores.length,
): number {
  if (start >= end) return Number.NaN;
  switch (aggregation.kind) {
    case 'mean':
      return meanOf(scores, start, end);
    case 'last':
      return scores[end - 1]!;
    case 'last_k':
      return meanOf(scores, Math.max(start, end - aggregation.k), end);
    case 'min': {
      let least = Number.POSITIVE_INFINITY;
      for (let t = start; t < end; t++) least = Math.min(least, scores[t]!);
      return least;
    }
    case 'product': {
      let product = 1;
      for (let t = start; t < end; t++) product *= scores[t]!;
      return product;
    }
    case 'exp_mean': {
      let [sum, weights] = [0, 0];
      for (let t = start; t < end; t++) {
        sum = aggregation.decay * sum + scores[t]!;
        weights = aggregation.decay * weights + 1;
      }
      return sum / weights;
    }
  }
}

function meanOf(scores: ArrayLike<number>, start: number, end: number): number {
  let sum = 0;
  for (let t = start; t < end; t++) sum += scores[t]!;
  return sum / (end - start);
}
