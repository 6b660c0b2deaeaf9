import { expect, test } from 'vitest';
import { z } from 'zod';
import { normaliseFlags, parseOptions } from './options.js';

test('flags may have underscores; values and what follows a bare -- stay as they are', () => {
  expect(normaliseFlags(['--input_file=a_b', '--end_idx', 'x_y', '-v', '--', '--a_b'])).toEqual([
    '--input-file=a_b',
    '--end-idx',
    'x_y',
    '-v',
    '--',
    '--a_b',
  ]);
});

test('a lone - is the value of the flag before it', () => {
  expect(normaliseFlags(['--input_file', '-', '--json'])).toEqual(['--input-file=-', '--json']);
  expect(normaliseFlags(['--input-file=a', '-'])).toEqual(['--input-file=a', '-']);
});

test('a bad option is a usage error that names the flag', () => {
  const schema = z.object({ startIdx: z.number() });
  expect(parseOptions(schema, { startIdx: 3, other: 1 })).toEqual({ startIdx: 3 });
  expect(() => parseOptions(schema, { startIdx: Number.NaN })).toThrow(
    expect.objectContaining({ code: 'BAD_OPTION', kind: 'usage', where: '--start-idx' }),
  );
});
