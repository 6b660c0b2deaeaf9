import type { Metrics } from './metrics.js';

/** An epoch after it has been validated. */
export interface Epoch extends Metrics {
  /** Mean training loss over its batches. */
  readonly loss: number;
  /** Mean AUC within the validation questions that have right and wrong steps; null where none has. */
  readonly auc_within_question: number | null;
}

/**
 * What epochs are compared by: `auc_f1`, as the original, 0.75 · AUC + 0.25 · F1 over all steps; `within_question`, the
 * AUC within questions, or over all steps where no question has right and wrong ones.
 */
export type Selection = 'auc_f1' | 'within_question';

/** An epoch counts as better only by more than this, so that noise does not keep a run going. */
const MIN_GAIN = 1e-4;

export function selectionScore(
  { auc, f1, auc_within_question: within }: Metrics & { readonly auc_within_question?: number | null },
  select: Selection = 'auc_f1',
): number {
  return select === 'auc_f1' ? 0.75 * auc + 0.25 * f1 : (within ?? auc);
}

/** The epoch (from 1) whose weights are kept; 0 before the first. */
export function bestEpoch(history: readonly Epoch[], select: Selection): number {
  let best = 0;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const [i, epoch] of history.entries()) {
    const score = selectionScore(epoch, select);
    if (score <= bestScore + MIN_GAIN) continue;
    best = i + 1;
    bestScore = score;
  }
  return best;
}

/** Whether training ends here. */
export function isDone(
  history: readonly Epoch[],
  { epochs, patience, select }: { epochs: number; patience: number; select: Selection },
): boolean {
  return history.length >= epochs || history.length - bestEpoch(history, select) >= patience;
}
