import { describe, expect, test } from 'vitest';
import type { BatchRun, FeatureRows } from '../engine/engine.js';
import { orderedRows, trainingBatches } from './batches.js';
import type { FeatureSource } from './features.js';
import type { StepSet } from './split.js';

/** A source whose row r is [r, −r], and which remembers what was read of it. */
function countingSource(): FeatureSource & { reads: number[][] } {
  const reads: number[][] = [];
  return {
    layers: [1],
    width: 2,
    rowType: 'float32',
    rowBytes: 8,
    reads,
    async read(rows) {
      reads.push([...rows]);
      const data = Float32Array.from({ length: rows.length * 2 }, (_, i) => (i % 2 ? -1 : 1) * rows[i >> 1]!);
      return { type: 'float32', count: rows.length, data };
    },
  };
}

/** Rows 100, 103, 106, …; every third one is right. */
function sampleSet(size: number): StepSet {
  return {
    rows: Uint32Array.from({ length: size }, (_, i) => 100 + 3 * i),
    labels: Uint8Array.from({ length: size }, (_, i) => Number(i % 3 === 0)),
  };
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

const rowsOf = (rows: FeatureRows): number[] => [...rows.data].filter((_, i) => i % 2 === 0);
const orderOf = (runs: BatchRun[]): number[] => runs.flatMap(({ rows }) => rowsOf(rows));

/** One chunk holds them all; or five chunks of 200 rows and a rest of 10. */
const MEMORY = { 'a set that fits': undefined, 'a set larger than memory': 1600 } as const;

describe.each(Object.entries(MEMORY))('the training batches of %s', (_, chunkBytes) => {
  const options = { batchSize: 8, seed: 0, ...(chunkBytes !== undefined && { chunkBytes }) };
  const set = sampleSet(1010);

  test('hold every row once an epoch, with its own label, in whole batches but for the last one', async () => {
    const runs = await collect(trainingBatches(countingSource(), set, options).epoch(1));
    expect(orderOf(runs).sort((a, b) => a - b)).toEqual([...set.rows]);
    for (const { rows, labels } of runs) {
      expect([...labels]).toEqual(rowsOf(rows).map((row) => Number(((row - 100) / 3) % 3 === 0)));
    }
    const sizes = runs.flatMap(({ rows, batchSize }) => Array(rows.count / batchSize).fill(batchSize));
    expect(sizes).toEqual([...Array(126).fill(8), 2]);
  });

  test('come in an order that the seed and the epoch decide', async () => {
    const order = async (seed: number, epoch: number): Promise<number[]> =>
      orderOf(await collect(trainingBatches(countingSource(), set, { ...options, seed }).epoch(epoch)));
    const first = await order(0, 1);
    expect(await order(0, 1)).toEqual(first);
    expect(await order(0, 2)).not.toEqual(first);
    expect(await order(1, 1)).not.toEqual(first);
  });

  test('are well mixed: a batch is no more of one piece than a random one', async () => {
    const order = orderOf(await collect(trainingBatches(countingSource(), set, options).epoch(1)));
    const places = order.map((row) => (row - 100) / 3);
    // Neighbours in the order: for a random permutation their mean distance is (n + 1) / 3, ± about n / (5 √n).
    const distances = places.slice(1).map((place, i) => Math.abs(place - places[i]!));
    const mean = distances.reduce((sum, distance) => sum + distance, 0) / distances.length;
    expect(Math.abs(mean - 1011 / 3)).toBeLessThan(4 * (1010 / 5 / Math.sqrt(1010)));
    // And no drift from the front of the set to its back.
    const firstHalf = places.slice(0, 505).reduce((sum, place) => sum + place, 0) / 505;
    expect(Math.abs(firstHalf - 1009 / 2)).toBeLessThan(4 * (1010 / Math.sqrt(12 * 2 * 505)));
  });
});

test('a set that fits is read once for all epochs', async () => {
  const source = countingSource();
  const batches = trainingBatches(source, sampleSet(1000), { batchSize: 8, seed: 0 });
  for (const epoch of [1, 2, 3]) await collect(batches.epoch(epoch));
  expect(source.reads).toHaveLength(1);
});

test('of a larger set no more than two chunks are read ahead of use, each in ascending order', async () => {
  const source = countingSource();
  const runs = trainingBatches(source, sampleSet(1010), { batchSize: 8, seed: 0, chunkBytes: 1600 }).epoch(1);
  await runs.next();
  expect(source.reads.map((rows) => rows.length)).toEqual([200, 200]);
  for (const rows of source.reads) expect(rows).toEqual(rows.toSorted((a, b) => a - b));
  await runs.return(undefined);
});

test('ordered rows come in their own order, chunk by chunk, as often as asked', async () => {
  const set = sampleSet(450);
  const rows = orderedRows(countingSource(), set, { chunkBytes: 1600 });
  for (let pass = 0; pass < 2; pass++) {
    const parts = await collect(rows());
    expect(parts.map(({ count }) => count)).toEqual([200, 200, 50]);
    expect(parts.flatMap(rowsOf)).toEqual([...set.rows]);
  }
});
