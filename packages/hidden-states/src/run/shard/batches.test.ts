import { expect, test } from 'vitest';
import { inBatches } from './batches.js';

async function batchesOf(lengths: readonly number[], limit: number): Promise<number[][]> {
  async function* traces() {
    for (const length of lengths) yield { tokens: { inputIds: new Int32Array(length) } };
  }
  const batches: number[][] = [];
  for await (const batch of inBatches(traces(), limit)) batches.push(batch.map(({ tokens }) => tokens.inputIds.length));
  return batches;
}

test('traces are together up to a number of tokens, and a longer one is alone', async () => {
  expect(await batchesOf([4, 4, 3, 12, 10, 1, 1], 10)).toEqual([[4, 4], [3], [12], [10], [1, 1]]);
  expect(await batchesOf([4, 0, 3], 0)).toEqual([[4], [0], [3]]);
  expect(await batchesOf([], 10)).toEqual([]);
});
