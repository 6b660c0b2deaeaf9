import { readFileSync } from 'node:fs';
import type { LearningRateSchedule } from '@scorer/core/schema';
import { describe, expect, test } from 'vitest';
import { learningRateSchedule } from './schedule.js';

interface TorchSchedule {
  readonly schedule: LearningRateSchedule;
  readonly totalSteps: number;
  readonly warmupSteps: number;
  /** [totalSteps] */
  readonly rates: readonly number[];
}

/** By torch.optim.lr_scheduler: tools/oracles/lr_schedule.py. */
const TORCH: TorchSchedule[] = JSON.parse(
  readFileSync(new URL('./fixtures/lr_schedule.json', import.meta.url), 'utf8'),
);

describe.each(TORCH)('$schedule, $warmupSteps of $totalSteps steps to warm up', (torch) => {
  const { schedule: lrSchedule, totalSteps, warmupSteps, rates } = torch;

  test("has PyTorch's rate at every step", () => {
    const factor = learningRateSchedule({ lrSchedule, warmup: warmupSteps }, totalSteps);
    for (const [i, rate] of rates.entries()) expect(factor(i + 1), `step ${i + 1}`).toBeCloseTo(rate, 12);
  });
});

test('a warm-up below 1 is a share of all steps, rounded down', () => {
  const factors = (warmup: number) => {
    const factor = learningRateSchedule({ lrSchedule: 'linear', warmup }, 25);
    return Array.from({ length: 25 }, (_, i) => factor(i + 1));
  };
  expect(factors(0.3)).toEqual(factors(7));
  expect(factors(0.03)).toEqual(factors(0));
});

test('a warm-up that leaves no step is refused with both numbers', () => {
  expect(() => learningRateSchedule({ lrSchedule: 'constant', warmup: 12 }, 12)).toThrow(
    expect.objectContaining({
      code: 'BAD_OPTION',
      kind: 'usage',
      message: expect.stringMatching(/12 steps.*12 in all/),
    }),
  );
});
