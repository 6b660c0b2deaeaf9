import { describe, expect, test } from 'vitest';
import type { BatchRun, FeatureRows } from '../engine/engine.js';
import { rowsOfSet, trainingBatches } from './batches.js';
import { type FeatureSource, rowSlice, sharedRows } from './features.js';
import { planMemory } from './memory.js';
import { shuffledOrder } from './order.js';
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
    async read(rows, into) {
      reads.push([...rows]);
      const target = rowSlice(into ?? sharedRows('float32', rows.length, 2), 2, 0, rows.length);
      for (const [i, row] of rows.entries()) target.data.set([row, -row], 2 * i);
      return target;
    },
  };
}

/** Rows 100, 103, 106, …; every third one is right. */
function sampleSet(size: number): StepSet {
  const labels = Uint8Array.from({ length: size }, (_, i) => Number(i % 3 === 0));
  return { rows: Uint32Array.from({ length: size }, (_, i) => 100 + 3 * i), labels, targets: labels };
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

const rowsOf = (rows: FeatureRows): number[] => [...rows.data].filter((_, i) => i % 2 === 0);
const orderOf = (runs: BatchRun[]): number[] => runs.flatMap(({ rows }) => rowsOf(rows));

type RowsPlan = Parameters<typeof rowsOfSet>[2];

/** Room for all rows; or for two windows of 104 of them, of the 200 that make a chunk. */
const PLANS: Record<string, RowsPlan> = {
  'kept in memory': { isResident: true, windowRows: 400, partRows: 8 },
  'read in windows': { isResident: false, windowRows: 104, partRows: 8 },
};

function batchesOf(source: FeatureSource, set: StepSet, memory: RowsPlan, { seed = 0, runRows = 64 } = {}) {
  const choice = { batchSize: 8, seed, rowBytes: source.rowBytes, chunkBytes: 1600 };
  return trainingBatches(rowsOfSet(source, set, memory), set, {
    order: shuffledOrder(set, choice),
    batchSize: 8,
    runRows,
  });
}

describe.each(Object.entries(PLANS))('training batches of rows that are %s', (_, memory) => {
  const set = sampleSet(1010);

  test('hold every row once an epoch, with its own label, in whole batches but for the last one', async () => {
    const batches = batchesOf(countingSource(), set, memory);
    const runs = await collect(batches.epoch(1));
    expect(orderOf(runs).sort((a, b) => a - b)).toEqual([...set.rows]);
    for (const { rows, labels } of runs) {
      expect([...labels]).toEqual(rowsOf(rows).map((row) => Number(((row - 100) / 3) % 3 === 0)));
    }
    const sizes = runs.flatMap(({ rows, batchSize }) => Array(rows.count / batchSize).fill(batchSize));
    expect(sizes).toEqual([...Array(126).fill(8), 2]);
    expect(batches.batchesPerEpoch).toBe(sizes.length);
  });

  test('come in an order that the seed and the epoch decide', async () => {
    const order = async (seed: number, epoch: number): Promise<number[]> =>
      orderOf(await collect(batchesOf(countingSource(), set, memory, { seed }).epoch(epoch)));
    expect(await order(0, 1)).toEqual(await order(0, 1));
    expect(await order(0, 2)).not.toEqual(await order(0, 1));
    expect(await order(1, 1)).not.toEqual(await order(0, 1));
  });

  // Windows end every 104 rows and chunks every 200.
  test.each([8, 64, 400, 4096])('fill runs of %d rows, wherever the parts end that are read', async (runRows) => {
    const runs = await collect(batchesOf(countingSource(), set, memory, { runRows }).epoch(1));
    const whole = Math.floor(1008 / runRows);
    const rest = [1008 % runRows, 2].filter((size) => size > 0);
    expect(runs.map(({ rows }) => rows.count)).toEqual([...Array(whole).fill(runRows), ...rest]);
    expect(orderOf(runs)).toEqual(orderOf(await collect(batchesOf(countingSource(), set, memory).epoch(1))));
  });

  test('are memory of their own, which the engine may take away', async () => {
    for await (const { rows } of batchesOf(countingSource(), set, memory).epoch(1)) {
      structuredClone(rows.data, { transfer: [rows.data.buffer as ArrayBuffer] });
    }
  });

  test('in order, rows come in their own, as often as asked', async () => {
    const rows = rowsOfSet(countingSource(), set, memory);
    for (let pass = 0; pass < 2; pass++) {
      const parts: number[][] = [];
      for await (const part of rows.inOrder()) parts.push(rowsOf(part));
      // The same parts whatever the memory, because scores can depend on the rows beside.
      expect(parts.map(({ length }) => length)).toEqual([...Array(126).fill(8), 2]);
      expect(parts.flat()).toEqual([...set.rows]);
    }
  });
});

test('the order of the rows does not depend on the memory that there is', async () => {
  const set = sampleSet(1010);
  const orders: number[][] = [];
  for (const windowRows of [8, 104, 10_000]) {
    for (const isResident of [true, false]) {
      const memory = { isResident, windowRows, partRows: 8 };
      const runRows = Math.min(64, windowRows);
      orders.push(orderOf(await collect(batchesOf(countingSource(), set, memory, { runRows }).epoch(3))));
    }
  }
  for (const order of orders) expect(order).toEqual(orders[0]);
});

test('rows that are kept are read once for all epochs', async () => {
  const source = countingSource();
  const batches = batchesOf(source, sampleSet(1000), PLANS['kept in memory']!);
  for (const epoch of [1, 2, 3]) await collect(batches.epoch(epoch));
  expect(source.reads.flat()).toEqual([...sampleSet(1000).rows]);
});

test('of other rows no more than two windows are read ahead of use, and two rooms serve for all', async () => {
  const source = countingSource();
  const set = sampleSet(1010);
  const memory = PLANS['read in windows']!;
  const spares: FeatureRows[] = [];
  const rows = rowsOfSet(source, set, memory, spares);
  const parts = rows.at([set.rows.map((_, i) => i)]);
  await parts.next();
  expect(source.reads.map((read) => read.length)).toEqual([104, 104]);
  await collect(parts);
  expect(spares).toHaveLength(2);
  expect(spares.every(({ count }) => count === 104)).toBe(true);
});

test('each group number is that of its row', async () => {
  const set = sampleSet(50);
  const memory = PLANS['kept in memory']!;
  const order = shuffledOrder(set, { batchSize: 8, seed: 0, rowBytes: 8 });
  const questions = set.rows.map((row) => row % 7);
  const batches = trainingBatches(rowsOfSet(countingSource(), set, memory), set, {
    order,
    batchSize: 8,
    runRows: 64,
    questions,
  });
  for (const { rows, groups } of await collect(batches.epoch(1))) {
    expect([...groups!]).toEqual(rowsOf(rows).map((row) => row % 7));
  }
});

describe('the memory for hidden states', () => {
  const data = { rowBytes: 8192, batchSize: 128 };

  test('keeps all rows where they fit beside what the engine is given', () => {
    expect(planMemory({ ...data, memoryBytes: 1e9, rows: 110_000 }).isResident).toBe(true);
    expect(planMemory({ ...data, memoryBytes: 1e9, rows: 120_000 }).isResident).toBe(false);
  });

  test.each([1.1e7, 2e7, 1e8, 1e9, 1e11])(
    'of %d bytes is divided in whole batches, of which windows and runs take no more than half',
    (memoryBytes) => {
      const { windowRows, runRows } = planMemory({ ...data, memoryBytes, rows: 1e9 });
      expect((2 * windowRows + runRows) * data.rowBytes).toBeLessThanOrEqual(memoryBytes / 2);
      expect([windowRows % 128, runRows % 128]).toEqual([0, 0]);
      expect(Math.min(windowRows, runRows)).toBeGreaterThanOrEqual(128);
    },
  );

  test('has room for two long runs beside the rows that are kept, and for two windows and a run of others', () => {
    const longRunBytes = (memoryBytes: number, rows: number) => {
      const { longRunRows } = planMemory({ ...data, memoryBytes, rows });
      return longRunRows * data.rowBytes;
    };
    expect(longRunBytes(16e9, 1e6)).toBe(256 * 2 ** 20);
    expect(longRunBytes(1e9, 50_000)).toBe(256 * 2 ** 20);
    expect(2 * longRunBytes(1e9, 90_000) + 90_000 * data.rowBytes).toBeLessThanOrEqual(1e9);
    expect(longRunBytes(1e9, 90_000)).toBeGreaterThan(1e8);
    expect(longRunBytes(1e9, 1e9)).toBeLessThanOrEqual(1e9 / 16);
    expect(longRunBytes(1e9, 1e9)).toBeGreaterThan(1e9 / 18);
  });

  test('that takes less than a few batches is refused', () => {
    expect(() => planMemory({ ...data, memoryBytes: 5e6, rows: 1000 })).toThrow(
      expect.objectContaining({ code: 'MEMORY_TOO_SMALL', kind: 'usage' }),
    );
  });
});
