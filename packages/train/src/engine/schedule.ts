import { ScorerError } from '@scorer/core/errors';
import type { LearningRateSchedule } from '@scorer/core/schema';

export interface ScheduleOptions {
  readonly lrSchedule: LearningRateSchedule;
  /** So many steps, or below 1 a share of all. */
  readonly warmup: number;
}

/**
 * What the learning rate is multiplied by at each step (from 1) of a run of `totalSteps` T, of which the first W warm up.
 * As PyTorch's `SequentialLR` with its milestone at W: `LinearLR(start_factor=1/(W + 1), total_iters=W)`, then
 *
 *     constant   1
 *     cosine     CosineAnnealingLR(T_max=T − W)                                ½ (1 + cos(π k / (T − W)))
 *     linear     LinearLR(start_factor=1, end_factor=0, total_iters=T − W)     1 − k / (T − W)
 *
 * where k counts the steps after the warm-up from 0.
 * @throws ScorerError `BAD_OPTION` (usage) where the warm-up leaves no step
 */
export function learningRateSchedule(
  { lrSchedule, warmup }: ScheduleOptions,
  totalSteps: number,
): (step: number) => number {
  const warmupSteps = warmup < 1 ? Math.floor(warmup * totalSteps) : warmup;
  const left = totalSteps - warmupSteps;
  if (left < 1) {
    throw new ScorerError({
      code: 'BAD_OPTION',
      kind: 'usage',
      what: `${warmupSteps} steps of warm-up, and the run has ${totalSteps} in all`,
      where: '--warmup',
      hint: 'give less, or a share of the steps, as 0.05',
    });
  }
  const decay = {
    constant: () => 1,
    cosine: (k: number) => (1 + Math.cos((Math.PI * k) / left)) / 2,
    linear: (k: number) => 1 - k / left,
  }[lrSchedule];
  return (step) => (step <= warmupSteps ? step / (warmupSteps + 1) : decay(step - warmupSteps - 1));
}
