import { describe, expect, test } from 'vitest';
import {
  balancedOrder,
  type OrderChoice,
  questionOrder,
  resampledOrder,
  shuffledOrder,
  type TrainingOrder,
} from './order.js';
import type { StepSet } from './split.js';

function sampleSet(labels: ArrayLike<number>): StepSet {
  const ofRows = Uint8Array.from(labels);
  return { rows: Uint32Array.from(ofRows, (_, i) => 2 * i), labels: ofRows, targets: ofRows };
}

const orderOf = (order: TrainingOrder, epoch = 1): number[] => [...order.epoch(epoch)].flatMap((part) => [...part]);
const ascending = (values: number[]): number[] => values.toSorted((a, b) => a - b);
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** One chunk holds all rows; or a chunk is 200 rows. */
const CHOICES: Record<string, OrderChoice> = {
  'a set of one chunk': { batchSize: 8, seed: 0, rowBytes: 8 },
  'a set of many chunks': { batchSize: 8, seed: 0, rowBytes: 8, chunkBytes: 1600 },
};

describe.each(Object.entries(CHOICES))('%s', (_, choice) => {
  const set = sampleSet(range(1010).map((i) => Number(i % 3 === 0)));

  test('is taken whole, in parts of whole batches but for the last one', () => {
    const parts = [...shuffledOrder(set, choice).epoch(1)];
    expect(ascending(parts.flatMap((part) => [...part]))).toEqual(range(1010));
    for (const part of parts.slice(0, -1)) expect(part.length % 8).toBe(0);
  });

  test('is well mixed: a batch is no more of one piece than a random one', () => {
    const places = orderOf(shuffledOrder(set, choice));
    // Neighbours in the order: for a random permutation their mean distance is (n + 1) / 3, ± about n / (5 √n).
    const distances = places.slice(1).map((place, i) => Math.abs(place - places[i]!));
    const mean = distances.reduce((sum, distance) => sum + distance, 0) / distances.length;
    expect(Math.abs(mean - 1011 / 3)).toBeLessThan(4 * (1010 / 5 / Math.sqrt(1010)));
    // And no drift from the front of the set to its back.
    const firstHalf = places.slice(0, 505).reduce((sum, place) => sum + place, 0) / 505;
    expect(Math.abs(firstHalf - 1009 / 2)).toBeLessThan(4 * (1010 / Math.sqrt(12 * 2 * 505)));
  });

  test('balanced: all of the rarer class and as many of the other, which change from epoch to epoch', () => {
    const order = balancedOrder(set, choice);
    const epochs = [orderOf(order, 1), orderOf(order, 2)];
    expect(order.rowsPerEpoch).toBe(2 * 337);
    for (const positions of epochs) {
      expect(new Set(positions).size).toBe(2 * 337);
      expect(positions.filter((position) => set.labels[position] === 1)).toHaveLength(337);
    }
    const [first, second] = epochs.map((positions) => new Set(positions.filter((i) => set.labels[i] === 0)));
    const both = [...first!].filter((position) => second!.has(position)).length;
    // Two draws of 337 among 673 share about half.
    expect(both).toBeGreaterThan(120);
    expect(both).toBeLessThan(220);
  });
});

test('steps drawn anew: a share of each trace in every epoch, and over the epochs all of them', () => {
  const traces = Uint32Array.from(range(100), (i) => (i < 1 ? 0 : i < 11 ? 1 : 2));
  const order = resampledOrder(traces, 0.25, { batchSize: 8, seed: 0, rowBytes: 8 });
  // max(1, floor(T · 0.25)) of 1, 10 and 89.
  expect(order.rowsPerEpoch).toBe(1 + 2 + 22);
  const seen = new Set<number>();
  for (const epoch of range(30)) {
    const positions = orderOf(order, epoch + 1);
    expect(new Set(positions).size).toBe(25);
    expect([0, 1, 2].map((trace) => positions.filter((i) => traces[i] === trace).length)).toEqual([1, 2, 22]);
    for (const position of positions) seen.add(position);
  }
  expect(seen.size).toBeGreaterThan(95);
});

describe('an order by question', () => {
  /** 20 questions of 30 rows, side by side; question 3 has right rows only, question 4 wrong ones only. */
  const questions = Uint32Array.from(range(600), (i) => Math.floor(i / 30));
  const set = sampleSet(range(600).map((i) => (questions[i] === 3 ? 1 : questions[i] === 4 ? 0 : i % 2)));
  const choice = { batchSize: 32, seed: 0, rowBytes: 8 };

  test('takes each row of a question with both classes once', () => {
    const order = questionOrder(set, questions, choice);
    expect(ascending(orderOf(order))).toEqual(range(600).filter((i) => questions[i] !== 3 && questions[i] !== 4));
    expect(order.rowsPerEpoch).toBe(540);
    expect(orderOf(order, 2)).not.toEqual(orderOf(order, 1));
  });

  test.each([undefined, 800])('brings right and wrong rows of few questions together in a batch', (chunkBytes) => {
    const order = orderOf(questionOrder(set, questions, { ...choice, ...(chunkBytes && { chunkBytes }) }));
    let pairs = 0;
    for (let from = 0; from < order.length; from += 32) {
      const batch = order.slice(from, from + 32);
      expect(new Set(batch.map((i) => questions[i])).size).toBeLessThanOrEqual(6);
      pairs += batch.flatMap((i) =>
        batch.filter((j) => questions[i] === questions[j] && set.labels[i]! > set.labels[j]!),
      ).length;
    }
    // About 4 groups of 8 rows a batch, half of them right: 4 · 4 · 4 pairs.
    expect(pairs / Math.ceil(order.length / 32)).toBeGreaterThan(45);
  });

  test('compares soft labels too', () => {
    const soft = { ...set, targets: Float32Array.from(range(600), (i) => (questions[i] === 3 ? (i % 5) / 10 : 0.5)) };
    expect(ascending(orderOf(questionOrder(soft, questions, choice)))).toEqual(
      range(600).filter((i) => questions[i] === 3),
    );
  });
});
