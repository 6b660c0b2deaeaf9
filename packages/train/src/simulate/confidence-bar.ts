import { percentile } from '../evaluate/bootstrap.js';
import type { Policy } from './policy.js';
import type { TraceRange } from './stop.js';
import type { Timelines } from './timelines.js';

export type ConfidencePolicy = Extract<Policy, { kind: 'confidence' }>;

/**
 * What no group of a trace may fall under: the percentile 1 − `top` of the lowest groups of the question's first
 * `warmup` traces; nothing where none of them has one.
 */
export function confidenceBar({ warmup, top }: ConfidencePolicy, { confidence }: Timelines, range: TraceRange): number {
  const lowest = confidence?.lowestGroups.subarray(range.first, Math.min(range.first + warmup, range.end));
  const known = (lowest ?? new Float64Array()).filter((group) => !Number.isNaN(group)).sort();
  return known.length === 0 ? Number.NEGATIVE_INFINITY : percentile(known, 1 - top);
}
