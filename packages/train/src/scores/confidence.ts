import type { TokenConfidence } from '@scorer/core/shards';
import { z } from 'zod';
import { meanOfLowest } from './lowest.js';

/**
 * What DeepConf (arXiv 2508.15260, section 3) makes of the confidences of a trace's tokens, and beside it the mean
 * log-probability of the tokens. A group is a window of tokens that slides by one.
 */
export const MEASURES = ['mean', 'tail', 'bottom_group', 'lowest_group', 'mean_logprob'] as const;
export type Measure = (typeof MEASURES)[number];
type Measures = Record<Measure, number>;

/** Parts of a trace's steps at whose end the measures are also taken. */
export const PARTS = ['0.25', '0.5', '0.75'] as const;

/** Tokens of a group and of the tail, as in DeepConf's code. */
export const CONFIDENCE_DEFAULTS = { window: 2048, tail: 2048 } as const;

/** Share of the groups that are the bottom ones. */
const BOTTOM = 0.1;

const measuresSchema = z.object({
  /** Of all tokens. */
  mean: z.number().optional(),
  /** Mean of the last tokens. */
  tail: z.number().optional(),
  /** Mean of the lowest 10 % of the groups. */
  bottom_group: z.number().optional(),
  /** The lowest of all groups. */
  lowest_group: z.number().optional(),
  /** Mean natural log-probability of the tokens, at most 0. */
  mean_logprob: z.number().optional(),
});

/** How sure the model was of a trace; a file that was made elsewhere may have some of the measures alone. */
export const traceConfidenceSchema = measuresSchema.extend({
  /** [T]: mean confidence of each step's own tokens; null where it has none, being in the prompt. */
  steps: z.array(z.number().nullable()).optional(),
  /** [T]: the lowest of the groups that end in the step; null where none does, as long as there are too few tokens. */
  step_groups: z.array(z.number().nullable()).optional(),
  /** The measures of the tokens up to the end of the first part of the steps (rounded up). */
  by_fraction: z.partialRecord(z.enum(PARTS), measuresSchema).optional(),
});

export type TraceConfidence = z.output<typeof traceConfidenceSchema>;

export interface ConfidenceWindows {
  /** Tokens of a group. */
  readonly window: number;
  /** Tokens of the tail. */
  readonly tail: number;
}

/**
 * The measures of a trace, of its steps, and of its first parts.
 * @param tokens of all tokens after the prompt
 * @param stepEnds [T]: how many of these tokens there are up to the end of each step, ascending; at most 0 in the prompt
 * @returns undefined where there is no token
 */
export function traceConfidence(
  tokens: TokenConfidence,
  stepEnds: ArrayLike<number>,
  { window, tail }: ConfidenceWindows,
): TraceConfidence | undefined {
  const { logprobs, confidences } = tokens;
  if (confidences.length === 0) return undefined;
  const groups = groupConfidences(confidences, window);

  /** Of the first `end` tokens. */
  function measures(end: number): Measures {
    const mean = meanOf(confidences, 0, end);
    const ended = groups.slice(0, Math.max(0, end - window + 1));
    const bottom = Math.max(1, Math.floor(ended.length * BOTTOM));
    return {
      mean,
      tail: meanOf(confidences, Math.max(0, end - tail), end),
      // As in DeepConf's code: of fewer tokens than a group has, all are the one group.
      bottom_group: ended.length === 0 ? mean : meanOfLowest(ended, bottom),
      lowest_group: ended.length === 0 ? mean : lowestOf(ended, 0, ended.length),
      mean_logprob: meanOf(logprobs, 0, end),
    };
  }

  const steps: (number | null)[] = [];
  const stepGroups: (number | null)[] = [];
  for (let step = 0, start = 0; step < stepEnds.length; step++) {
    const end = stepEnds[step]!;
    steps.push(end > start ? nineDigits(meanOf(confidences, start, end)) : null);
    const [firstGroup, endGroup] = [Math.max(0, start - window + 1), end - window + 1];
    stepGroups.push(end > start && endGroup > firstGroup ? nineDigits(lowestOf(groups, firstGroup, endGroup)) : null);
    start = Math.max(start, end);
  }
  const parts = PARTS.map((part) => [part, stepEnds[Math.ceil(Number(part) * stepEnds.length) - 1] ?? 0] as const);
  return {
    ...measures(confidences.length),
    steps,
    step_groups: stepGroups,
    by_fraction: Object.fromEntries(parts.filter(([, end]) => end > 0).map(([part, end]) => [part, measures(end)])),
  };
}

/** [tokens − window + 1], none where there are fewer tokens: the mean of each window of tokens. */
function groupConfidences(confidences: Float32Array, window: number): Float64Array {
  const groups = new Float64Array(Math.max(0, confidences.length - window + 1));
  let sum = 0;
  for (let i = 0; i < confidences.length; i++) {
    sum += confidences[i]!;
    if (i < window - 1) continue;
    groups[i - window + 1] = sum / window;
    sum -= confidences[i - window + 1]!;
  }
  return groups;
}

function meanOf(values: Float32Array, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i < end; i++) sum += values[i]!;
  return sum / (end - start);
}

function lowestOf(values: Float64Array, start: number, end: number): number {
  let lowest = Number.POSITIVE_INFINITY;
  for (let i = start; i < end; i++) lowest = Math.min(lowest, values[i]!);
  return lowest;
}

/** Steps are many: enough for a float32. */
function nineDigits(value: number): number {
  return Number(value.toPrecision(9));
}
