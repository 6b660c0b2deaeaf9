import { expect, test } from 'vitest';
import { bootstrap, meanOf, ratioOf } from './bootstrap.js';

const OPTIONS = { resamples: 400, seed: 0 };

test('puts a figure in the place of each statistic and leaves the rest as it is', async () => {
  const values = Float64Array.of(0, 1, 1, 0.5);
  const { figures, note } = await bootstrap(4, { figures: [{ mean: meanOf(values) }], note: 'kept' }, OPTIONS);
  expect(note).toBe('kept');
  expect(figures[0]!.mean.value).toBe(0.625);
  const [low, high] = figures[0]!.mean.ci95!;
  expect(low).toBeGreaterThanOrEqual(0);
  expect(low).toBeLessThan(0.625);
  expect(high).toBeGreaterThan(0.625);
});

test('the interval of a mean is as wide as the normal approximation says', async () => {
  const values = Float64Array.from({ length: 400 }, (_, q) => Number(q % 4 === 0));
  const [mean] = await bootstrap(400, [meanOf(values)], { resamples: 2000, seed: 1 });
  const halfWidth = 1.96 * Math.sqrt((0.25 * 0.75) / 400);
  expect(mean!.ci95![0]).toBeCloseTo(0.25 - halfWidth, 2);
  expect(mean!.ci95![1]).toBeCloseTo(0.25 + halfWidth, 2);
});

test('all statistics see the same resamples: a difference is paired', async () => {
  const [a, b] = [Float64Array.of(0.1, 0.5, 0.9), Float64Array.of(0.2, 0.6, 1)];
  const difference = meanOf(b.map((value, q) => value - a[q]!));
  const [of] = await bootstrap(3, [difference], OPTIONS);
  expect(of!.ci95![1] - of!.ci95![0]).toBeLessThan(1e-12);
});

test('the same seed gives the same interval', async () => {
  const plan = [meanOf(Float64Array.of(1, 2.2, 3.9, 4.1, 7.3))];
  expect(await bootstrap(5, plan, OPTIONS)).toEqual(await bootstrap(5, plan, OPTIONS));
  expect(await bootstrap(5, plan, OPTIONS)).not.toEqual(await bootstrap(5, plan, { ...OPTIONS, seed: 1 }));
});

test('one question has an interval without width; a figure that is not defined has none', async () => {
  const [mean, undefined_] = await bootstrap(
    1,
    [meanOf(Float64Array.of(0.5)), ratioOf(Float64Array.of(0), Float64Array.of(0))],
    OPTIONS,
  );
  expect(mean).toEqual({ value: 0.5, ci95: [0.5, 0.5] });
  expect(undefined_).toEqual({ value: null, ci95: null });
});

test('stops when it is told to', async () => {
  const signal = AbortSignal.abort();
  await expect(bootstrap(1, [meanOf(Float64Array.of(1))], { ...OPTIONS, signal })).rejects.toThrow();
});
