import { expect, test } from 'vitest';
import { memoryWarning } from './memory.js';

test('a budget too small to make the process smaller is told what the process takes, which grows with the network', () => {
  const small = { inputSize: 1024, hiddenUnits: [512] };
  const large = { inputSize: 2560, hiddenUnits: [512] };
  expect(memoryWarning(64e6, small)).toMatch(/--memory 64 MB .* about 322 MB, and a --memory below 122 MB/);
  expect(memoryWarning(64e6, large)).toMatch(/about 407 MB, and a --memory below 207 MB/);
  expect(memoryWarning(200e6, small)).toBeUndefined();
  expect(memoryWarning(200e6, large)).toBeDefined();
});
