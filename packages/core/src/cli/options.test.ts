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

test.each([
  [z.number(), Number.NaN, 'must be a number'],
  [z.int(), 1.5, 'must be a whole number'],
  [z.number().min(1), 0, 'must be at least 1'],
  [z.number().positive(), 0, 'must be more than 0'],
  [z.number().max(1), 2, 'must be at most 1'],
  [z.string().min(1), '', 'must not be empty'],
  [z.enum(['', 'model', 'field']), 'feld', 'must be model or field'],
  [z.string().regex(/^\d+[MG]$/), 'lots', '"lots" is not understood'],
  [z.string().regex(/^\d+$/, 'give a number'), 'lots', 'give a number'],
])('what is wrong with an option is said in plain words (%#)', (option, value, what) => {
  expect(() => parseOptions(z.object({ option }), { option: value })).toThrow(expect.objectContaining({ what }));
});
