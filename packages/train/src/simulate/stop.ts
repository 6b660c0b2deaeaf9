import { confidenceBar } from './confidence-bar.js';
import type { Policy } from './policy.js';
import type { Timelines } from './timelines.js';

/** The traces of one question: numbers `first` ≤ trace < `end` in the timelines. */
export interface TraceRange {
  readonly first: number;
  readonly end: number;
}

/**
 * Runs a question's traces under a policy. While none has ended, the last one that runs is never stopped, so that there
 * is always an answer to give.
 * @param spent [traces of the question], filled: the tokens that each has generated when it ends or is stopped. One
 * with fewer than its own was stopped; a stop at a trace's last token is none.
 */
export function runTraces(
  policy: Exclude<Policy, { kind: 'fewer' }>,
  timelines: Timelines,
  range: TraceRange,
  spent: Uint32Array,
): void {
  const { tokens } = timelines;
  for (let trace = range.first; trace < range.end; trace++) spent[trace - range.first] = tokens[trace]!;
  switch (policy.kind) {
    case 'threshold':
      stopEachAt((trace) => thresholdStop(policy, timelines, trace), timelines, range, spent);
      break;
    case 'patience':
      stopEachAt((trace) => patienceStop(policy, timelines, trace), timelines, range, spent);
      break;
    case 'keep-top':
      for (const { tokens: tick, keep } of policy.checkpoints) keepBest(keep, tick, timelines, range, spent);
      break;
    case 'memory':
      fitMemory(policy.tokens, timelines, range, spent);
      break;
    case 'budget':
      keepBest(1, lastTickWithin(policy.tokens, range, spent), timelines, range, spent);
      break;
    case 'confidence': {
      const bar = confidenceBar(policy, timelines, range);
      const firstLate = range.first + policy.warmup;
      stopEachAt((trace) => (trace < firstLate ? NEVER : groupStop(bar, timelines, trace)), timelines, range, spent);
      break;
    }
    case 'none':
      break;
  }
}

const NEVER = Number.POSITIVE_INFINITY;

/** Traces that are judged each by itself. */
function stopEachAt(
  stopOf: (trace: number) => number,
  timelines: Timelines,
  { first, end }: TraceRange,
  spent: Uint32Array,
): void {
  let hasEnded = false;
  let last = first; // the one that would be stopped last
  for (let trace = first; trace < end; trace++) {
    const stop = stopOf(trace);
    const length = timelines.tokens[trace]!;
    if (stop >= length) hasEnded ||= length > 0;
    else spent[trace - first] = stop;
    if (outlasts(trace, last, timelines, first, spent)) last = trace;
  }
  if (!hasEnded && end > first) spent[last - first] = timelines.tokens[last]!;
}

/** Of traces stopped in the same tick the better one stays longer. */
function outlasts(trace: number, other: number, timelines: Timelines, first: number, spent: Uint32Array): boolean {
  const [tick, otherTick] = [spent[trace - first]!, spent[other - first]!];
  if (tick !== otherTick) return tick > otherTick;
  return meanAt(trace, tick, timelines) > meanAt(other, tick, timelines);
}

function thresholdStop(
  { below, warmup }: Extract<Policy, { kind: 'threshold' }>,
  { stepOffsets, stepTokens, runningMeans }: Timelines,
  trace: number,
): number {
  const end = stepOffsets[trace + 1]!;
  for (let step = stepOffsets[trace]! + warmup - 1; step < end; step++) {
    if (runningMeans[step]! < below) return stepTokens[step]!;
  }
  return NEVER;
}

function patienceStop(
  { below, steps }: Extract<Policy, { kind: 'patience' }>,
  { stepOffsets, stepTokens, stepScores }: Timelines,
  trace: number,
): number {
  const end = stepOffsets[trace + 1]!;
  let inRow = 0;
  for (let step = stepOffsets[trace]!; step < end; step++) {
    inRow = stepScores[step]! < below ? inRow + 1 : 0;
    if (inRow === steps) return stepTokens[step]!;
  }
  return NEVER;
}

function groupStop(bar: number, { stepOffsets, stepTokens, confidence }: Timelines, trace: number): number {
  const end = stepOffsets[trace + 1]!;
  for (let step = stepOffsets[trace]!; step < end; step++) {
    if (confidence && confidence.stepGroups[step]! < bar) return stepTokens[step]!;
  }
  return NEVER;
}

/** Stops all but the best `keep` of the traces that still run after `tick` tokens. */
function keepBest(
  keep: number,
  tick: number,
  timelines: Timelines,
  { first, end }: TraceRange,
  spent: Uint32Array,
): void {
  const running: { trace: number; mean: number }[] = [];
  for (let trace = first; trace < end; trace++) {
    if (spent[trace - first]! > tick) running.push({ trace, mean: meanAt(trace, tick, timelines) });
  }
  if (running.length <= keep) return;
  // Infinity − Infinity is no number, and so no difference either.
  running.sort((a, b) => b.mean - a.mean || a.trace - b.trace);
  for (const { trace } of running.slice(keep)) spent[trace - first] = tick;
}

/** STEP's policy. Quadratic in the traces of a question. */
function fitMemory(capacity: number, timelines: Timelines, { first, end }: TraceRange, spent: Uint32Array): void {
  for (let tick = 0; ; ) {
    let running = 0;
    let nextEnd = Number.POSITIVE_INFINITY;
    for (const tokens of spent.subarray(0, end - first)) {
      if (tokens <= tick) continue;
      running++;
      nextEnd = Math.min(nextEnd, tokens);
    }
    if (running <= 1) return;
    const lastFit = Math.floor(capacity / running);
    if (lastFit >= nextEnd) {
      tick = nextEnd; // one ends first, and frees its memory
    } else {
      tick = lastFit;
      spent[worstAt(tick, timelines, { first, end }, spent) - first] = tick;
    }
  }
}

/** Of the traces that still run after `tick` tokens, the one with the lowest running mean. */
function worstAt(tick: number, timelines: Timelines, { first, end }: TraceRange, spent: Uint32Array): number {
  let worst = -1;
  let worstMean = Number.POSITIVE_INFINITY;
  for (let trace = first; trace < end; trace++) {
    if (spent[trace - first]! <= tick) continue;
    const mean = meanAt(trace, tick, timelines);
    if (mean <= worstMean) [worst, worstMean] = [trace, mean];
  }
  return worst;
}

/** The last tick at whose end the traces together have not spent more than `budget`. */
function lastTickWithin(budget: number, { first, end }: TraceRange, spent: Uint32Array): number {
  const lengths = spent.slice(0, end - first).sort();
  let ended = 0; // tokens of the traces that have ended
  for (const [i, length] of lengths.entries()) {
    const running = lengths.length - i;
    if (ended + running * length > budget) return Math.max(Math.floor((budget - ended) / running), 0);
    ended += length;
  }
  return Number.POSITIVE_INFINITY;
}

/** The running mean of a trace that has generated `tick` tokens; infinite before its first step end. */
function meanAt(trace: number, tick: number, { stepOffsets, stepTokens, runningMeans }: Timelines): number {
  const start = stepOffsets[trace]!;
  let low = start;
  let high = stepOffsets[trace + 1]!;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (stepTokens[middle]! <= tick) low = middle + 1;
    else high = middle;
  }
  return low === start ? Number.POSITIVE_INFINITY : runningMeans[low - 1]!;
}
