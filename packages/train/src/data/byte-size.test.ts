import { expect, test } from 'vitest';
import { parseByteSize } from './byte-size.js';

test.each([
  ['1000', 1000],
  ['512M', 512e6],
  ['2G', 2e9],
  ['1.5gb', 1.5e9],
  ['100 MB', 1e8],
  ['64MiB', 64 * 1024 ** 2],
  ['1Ki', 1024],
  ['1T', 1e12],
])('%s is %d bytes', (text, bytes) => expect(parseByteSize(text)).toBe(bytes));

test.each(['', 'M', '-1', '1e9', '2X', '1.G', '512 M B', 'NaN'])('%j is no size', (text) => {
  expect(parseByteSize(text)).toBeUndefined();
});
