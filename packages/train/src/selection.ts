import type { Metrics } from './metrics.js';

/** An epoch after it has been validated. */
export interface Epoch extends Metrics {
  /** Mean training loss over its batches. */
  readonly loss: number;
}

/** An epoch counts as better only by more than this, so that noise does not keep a run going. */
const MIN_GAIN = 1e-4;

/** What epochs are compared by. */
export function selectionScore({ auc, f1 }: Metrics): number {
  return 0.75 * auc + 0.25 * f1;
}

/** The epoch (from 1) whose weights are kept; 0 before the first. */
export function bestEpoch(history: readonly Epoch[]): number {
  let best = 0;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const [i, epoch] of history.entries()) {
    const score = selectionScore(epoch);
    if (score <= bestScore + MIN_GAIN) continue;
    best = i + 1;
    bestScore = score;
  }
  return best;
}

/** Whether training ends here. */
export function isDone(history: readonly Epoch[], { epochs, patience }: { epochs: number; patience: number }): boolean {
  return history.length >= epochs || history.length - bestEpoch(history) >= patience;
}
