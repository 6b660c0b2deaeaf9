import fc from 'fast-check';
import { expect, test } from 'vitest';
import { shuffledChunks } from './shuffled-rows.js';

const orderOf = (choice: Parameters<typeof shuffledChunks>[0]): number[] =>
  [...shuffledChunks(choice)].flatMap((chunk) => [...chunk]);

test('every row comes once, in chunks of the size that is asked for, the last shorter', () => {
  const size = fc.integer({ min: 1, max: 50 });
  fc.assert(
    fc.property(fc.nat(500), size, size, fc.nat(), (count, blockRows, chunkRows, seed) => {
      const chunks = [...shuffledChunks({ count, blockRows, chunkRows, seed })];
      expect(chunks.slice(0, -1).every(({ length }) => length === chunkRows)).toBe(true);
      expect(chunks.flatMap((chunk) => [...chunk]).sort((a, b) => a - b)).toEqual(
        Array.from({ length: count }, (_, i) => i),
      );
    }),
  );
});

test('the order follows from the seed', () => {
  const choice = { count: 1000, blockRows: 8, chunkRows: 100 };
  expect(orderOf({ ...choice, seed: 1 })).toEqual(orderOf({ ...choice, seed: 1 }));
  expect(orderOf({ ...choice, seed: 1 })).not.toEqual(orderOf({ ...choice, seed: 2 }));
});

test('a chunk is made of few blocks from all over the set, and its rows are mixed', () => {
  const [first] = shuffledChunks({ count: 10_000, blockRows: 10, chunkRows: 500, seed: 3 });
  const blocks = new Set(Array.from(first!, (row) => Math.floor(row / 10)));
  expect(blocks.size).toBe(50);
  expect(Math.max(...blocks) - Math.min(...blocks)).toBeGreaterThan(800);
  const neighbours = first!.filter((row, i) => i > 0 && row === first![i - 1]! + 1);
  expect(neighbours.length).toBeLessThan(20);
});

test('with blocks of one row all orders of a small set are equally likely', () => {
  const counts = new Map<string, number>();
  for (let seed = 0; seed < 6000; seed++) {
    const order = orderOf({ count: 3, blockRows: 1, chunkRows: 3, seed }).join();
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  expect(counts.size).toBe(6);
  // 1,000 each, standard deviation 29.
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
});
