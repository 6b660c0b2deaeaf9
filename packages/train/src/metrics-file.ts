import { z } from 'zod';
import { judgementSchema } from './judgement.js';
import type { SplitSummary } from './result.js';
import { bestEpoch, type Epoch, type Selection } from './selection.js';

const figures = { auc: z.number(), accuracy: z.number(), f1: z.number(), precision: z.number(), recall: z.number() };
const side = z.object({ questions: z.number(), traces: z.number(), steps: z.number(), positives: z.number() });

/** An epoch, with its mean training loss; older versions had no AUC within questions. */
export const epochSchema = z.object({
  loss: z.number(),
  ...figures,
  auc_within_question: z.number().nullable().default(null),
});

/** metrics.json: the best epoch's figures at the top, then how the run came there. */
export const metricsFileSchema = z.object({
  /** False while the run is at work or interrupted. */
  finished: z.boolean(),
  ...figures,
  best_epoch: z.number(),
  /** Mean training loss of each epoch. */
  loss_curve: z.array(z.number()),
  /** Validation after each epoch. */
  epochs: z.array(epochSchema.extend({ epoch: z.number() })),
  split: z.object({
    kind: z.enum(['question', 'trace', 'step', 'folder']),
    shared_questions: z.number(),
    train: side,
    validation: side,
  }),
  traces_without_steps: z.number(),
  /** Of a finished run: the kept weights looked at closely. */
  judgement: judgementSchema.optional(),
});

export type MetricsFile = z.output<typeof metricsFileSchema>;

/** What metrics.json says after the epochs of `history`, of which there is one at least. */
export function describeRun(
  history: readonly Epoch[],
  { split, tracesWithoutSteps }: { split: SplitSummary; tracesWithoutSteps: number },
  select: Selection,
): MetricsFile {
  const best = bestEpoch(history, select);
  const { loss: _, auc_within_question: _within, ...metrics } = history[best - 1]!;
  return {
    finished: false,
    ...metrics,
    best_epoch: best,
    loss_curve: history.map(({ loss }) => loss),
    epochs: history.map((epoch, i) => ({ epoch: i + 1, ...epoch })),
    split: {
      kind: split.kind,
      shared_questions: split.sharedQuestions,
      train: split.train,
      validation: split.validation,
    },
    traces_without_steps: tracesWithoutSteps,
  };
}
