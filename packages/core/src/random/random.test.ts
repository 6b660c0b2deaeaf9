import { describe, expect, test } from 'vitest';
import { permutation, randomStream, sampleAscending } from './random.js';

const draws = (seed: number, name: string, count: number): number[] => {
  const random = randomStream(seed, name);
  return Array.from({ length: count }, () => random.uniform());
};

describe('a random stream', () => {
  test('gives the same numbers for the same seed and name, and others for any other', () => {
    expect(draws(0, 'split', 20)).toEqual(draws(0, 'split', 20));
    expect(draws(1, 'split', 20)).not.toEqual(draws(0, 'split', 20));
    expect(draws(0, 'shuffle', 20)).not.toEqual(draws(0, 'split', 20));
  });

  test('is uniform in [0, 1)', () => {
    const numbers = draws(0, 'uniform', 20_000);
    const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
    const variance = numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / numbers.length;
    expect(numbers.every((x) => x >= 0 && x < 1)).toBe(true);
    // Within four standard errors.
    expect(Math.abs(mean - 1 / 2)).toBeLessThan(4 / Math.sqrt(12 * numbers.length));
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(4 * Math.sqrt(1 / 180 / numbers.length));
    const tenths = numbers.reduce(
      (counts, x) => counts.with(Math.floor(10 * x), counts[Math.floor(10 * x)]! + 1),
      Array(10).fill(0),
    );
    const chiSquare = tenths.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0);
    // The 99.9th percentile with 9 degrees of freedom.
    expect(chiSquare).toBeLessThan(27.9);
  });
});

test('a permutation holds every number once, each place with every number equally often', () => {
  const random = randomStream(0, 'permutation');
  const counts = Array.from({ length: 4 }, () => [0, 0, 0, 0]);
  for (let i = 0; i < 4000; i++) {
    const order = permutation(4, random);
    expect([...order].sort()).toEqual([0, 1, 2, 3]);
    for (const [place, number] of order.entries()) counts[place]![number]!++;
  }
  for (const count of counts.flat()) expect(Math.abs(count - 1000)).toBeLessThan(4 * Math.sqrt(750));
});

test('a sample is ascending, without repeats, and takes each number equally often', () => {
  const random = randomStream(0, 'sample');
  const counts = Array(6).fill(0);
  for (let i = 0; i < 3000; i++) {
    const sample = [...sampleAscending(6, 2, random)];
    expect(sample[0]).toBeLessThan(sample[1]!);
    for (const number of sample) counts[number]++;
  }
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(4 * Math.sqrt(1000 * (2 / 3)));
  expect([...sampleAscending(3, 3, random)]).toEqual([0, 1, 2]);
});
