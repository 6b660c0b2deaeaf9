import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TensorData } from '@scorer/core/onnx';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTensorStore } from './tensor-store.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'));
});

afterEach(() => rm(folder, { recursive: true }));

const tensors = (seed: number): TensorData[] => [
  { type: 'float32', dims: [1, 3, 2], data: Float32Array.from({ length: 6 }, (_, i) => seed + i / 7) },
  { type: 'float16', dims: [5], data: Uint16Array.from({ length: 5 }, (_, i) => 1000 * seed + i) },
  { type: 'uint8', dims: [0], data: new Uint8Array() },
];
const BYTES = 6 * 4 + 5 * 2;

test.each([
  ['memory', 10 * BYTES],
  ['a file', 0],
  ['both', 2 * BYTES],
])('tensors come back out of %s as they were, each time under their key', async (_, memory) => {
  const store = createTensorStore({ memory, path: join(folder, '.store') });
  for (const round of [0, 10]) {
    for (let key = 0; key < 4; key++) await store.put(String(key), tensors(round + key));
    for (const key of [2, 0, 3, 1]) expect(await store.take(String(key))).toEqual(tensors(round + key));
  }
  expect(await store.take('never put')).toEqual([]);
  await store.close();
  expect(readdirSync(folder)).toEqual([]);
});

test.skipIf(process.platform === 'win32')('a kill leaves no file, since it has no name while it is used', async () => {
  const store = createTensorStore({ memory: 0, path: join(folder, '.store') });
  await store.put('a', tensors(1));
  expect(readdirSync(folder)).toEqual([]);
  expect(await store.take('a')).toEqual(tensors(1));
  await store.close();
});

test('without a folder for the file it says so, once memory is used up', async () => {
  const store = createTensorStore({ memory: BYTES, path: join(folder, 'none', '.store') });
  await store.put('a', tensors(1));
  await expect(store.put('b', tensors(2))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  await store.close();
});
