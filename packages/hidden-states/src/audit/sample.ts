import { permutation, randomStream, sampleAscending } from '@scorer/core/random';
import type { Shard } from '@scorer/core/shards';

/** How much of each shard is looked at: a number of its traces, or a share of them. */
export type SampleSize = { count: number } | { share: number };

/** A small shard is looked at closely, since each shard may have a fault of its own. */
const MIN_TRACES = 8;

/** Once a trace is computed its rows cost nothing; these are enough to be sure of it. */
const ROWS_PER_TRACE = 16;

export interface SampledTrace {
  /** Number of the trace in its shard. */
  readonly trace: number;
  /** Rows of the shard, ascending: its last one, and others at random. */
  readonly rows: readonly number[];
}

/** Traces of a shard that have rows, at random, the same for the same seed; in the order of the shard. */
export function sampleTraces({ stepOffsets, traceCount }: Shard, size: SampleSize, seed: number): SampledTrace[] {
  const wanted = 'count' in size ? size.count : Math.max(Math.ceil(size.share * traceCount), MIN_TRACES);
  const random = randomStream(seed, 'audit');
  const hasRows = (trace: number): boolean => stepOffsets[trace + 1]! > stepOffsets[trace]!;
  const traces = Array.from(permutation(traceCount, random)).filter(hasRows).slice(0, wanted);
  return traces
    .sort((a, b) => a - b)
    .map((trace) => {
      const [first, last] = [stepOffsets[trace]!, stepOffsets[trace + 1]! - 1];
      const others = Array.from(sampleAscending(last - first, Math.min(ROWS_PER_TRACE - 1, last - first), random));
      return { trace, rows: [...others.map((row) => first + row), last] };
    });
}
