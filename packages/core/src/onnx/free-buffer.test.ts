import { expect, test } from 'vitest';
import { freeBuffer } from './free-buffer.js';

test('the memory is back before the garbage is collected', () => {
  const size = 64 * 1024 ** 2;
  const array = new Uint8Array(size);
  const before = process.memoryUsage().arrayBuffers;
  freeBuffer(array);
  expect(before - process.memoryUsage().arrayBuffers).toBeGreaterThan(0.9 * size);
  expect(array.length).toBe(0);
});

test('an array can be freed twice, and shared memory is not touched', () => {
  const array = new Float32Array(10);
  freeBuffer(array);
  freeBuffer(array);
  const shared = new Float32Array(new SharedArrayBuffer(8));
  freeBuffer(shared);
  expect(shared.length).toBe(2);
});
