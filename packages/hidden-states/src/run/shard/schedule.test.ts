import type { StepRecord } from '@scorer/core/schema';
import { expect, test } from 'vitest';
import type { RecordLine } from './records.js';
import { schedule } from './schedule.js';

const LINES = [
  ['q1', 'short'],
  ['q2', 'the longest of all'],
  ['q1', 'rather longer'],
  ['q2', 'x'],
  ['q1', 'short'],
].map(([prompt, forward_text], index) => ({ index, record: { prompt, forward_text } as StepRecord }));

async function order(lines: RecordLine[], windowCharacters?: number): Promise<number[]> {
  async function* stream() {
    yield* lines;
  }
  const indices: number[] = [];
  for await (const { index } of schedule(stream(), windowCharacters)) indices.push(index);
  return indices;
}

test('samples of one prompt are neighbours, so are identical traces, and longer ones come first', async () => {
  expect(await order(LINES)).toEqual([1, 3, 2, 0, 4]);
});

test('only so many characters are held at a time', async () => {
  expect(await order(LINES, 10)).toEqual([1, 0, 2, 4, 3]);
});

test('lines that cannot be used are not held back', async () => {
  expect(await order([...LINES, { index: 5, error: new Error('unused') as never }])).toEqual([5, 1, 3, 2, 0, 4]);
});
