import type { ScoreTable } from '../scores/score-table.js';
import type { Statistic } from './bootstrap.js';

/** The traces whose scores lie in low ≤ score < high (the last bin: ≤ high). */
export interface ReliabilityBin {
  readonly low: number;
  readonly high: number;
  readonly traces: number;
  /** Null where the bin is empty. */
  readonly mean_score: number | null;
  /** Share of the traces that are right. */
  readonly accuracy: number | null;
}

const BINS = 10;

/**
 * Whether a score of 0.7 means 70 % right: traces with a score in bins of equal width (Guo et al., On Calibration of
 * Modern Neural Networks, 2017). A score beyond 0 … 1 counts in the bin next to it.
 */
export function calibration(table: ScoreTable): { ece: Statistic; bins: ReliabilityBin[] } {
  const { questionCount, traceOffsets, labels, scores } = table;

  /** Σ counts, Σ counts · score and Σ counts · label of each bin. */
  function sumsOf(counts: Float64Array): [traces: Float64Array, scores: Float64Array, right: Float64Array] {
    const sums = [0, 0, 0].map(() => new Float64Array(BINS)) as ReturnType<typeof sumsOf>;
    for (let q = 0; q < questionCount; q++) {
      const count = counts[q]!;
      if (count === 0) continue;
      for (let i = traceOffsets[q]!; i < traceOffsets[q + 1]!; i++) {
        const score = scores[i]!;
        if (Number.isNaN(score)) continue;
        const bin = Math.min(BINS - 1, Math.max(0, Math.floor(score * BINS)));
        sums[0][bin]! += count;
        sums[1][bin]! += count * score;
        sums[2][bin]! += count * labels[i]!;
      }
    }
    return sums;
  }

  const [traces, scoreSums, right] = sumsOf(new Float64Array(questionCount).fill(1));
  return {
    /** Σ over the bins of |mean score − accuracy|, weighted by their traces. */
    ece(counts) {
      const [traces, scoreSums, right] = sumsOf(counts);
      const total = traces.reduce((sum, count) => sum + count, 0);
      return scoreSums.reduce((sum, score, bin) => sum + Math.abs(score - right[bin]!), 0) / total;
    },
    bins: Array.from(traces, (count, bin) => ({
      low: bin / BINS,
      high: (bin + 1) / BINS,
      traces: count,
      mean_score: count === 0 ? null : scoreSums[bin]! / count,
      accuracy: count === 0 ? null : right[bin]! / count,
    })),
  };
}
