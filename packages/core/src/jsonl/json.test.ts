import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatJsonLine, parseJson } from './json.js';

const PYTHON: { ascii: string; line: string }[] = readFileSync(
  new URL('fixtures/python.jsonl', import.meta.url),
  'utf8',
)
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

test.each(PYTHON)('$line is read and written as by Python', ({ ascii, line }) => {
  expect(parseJson(line)).toEqual(parseJson(ascii));
  expect(formatJsonLine(parseJson(ascii))).toBe(line);
});

test('every value is read back as it was written', () => {
  const values = fc.jsonValue({ noUnicodeString: false });
  fc.assert(
    fc.property(values, (value) => {
      // -0 is written as 0, as JSON.stringify does.
      const expected = JSON.parse(JSON.stringify(value));
      expect(parseJson(formatJsonLine(value))).toEqual(expected);
      expect(formatJsonLine(value)).not.toContain('\n');
    }),
  );
});

describe('NaN and Infinity', () => {
  test('are read wherever a number may stand, and left alone inside strings', () => {
    expect(parseJson(' [NaN,-Infinity,{"a \\" NaN":Infinity},"[NaN]","\\\\",NaN]')).toEqual([
      Number.NaN,
      Number.NEGATIVE_INFINITY,
      { 'a " NaN': Number.POSITIVE_INFINITY },
      '[NaN]',
      '\\',
      Number.NaN,
    ]);
  });

  test.each([
    '1Infinity',
    '1.Infinity',
    '+Infinity',
    '-NaN',
    'nan',
    'NaNs',
    '{NaN:1}',
    'Infinity1',
    '"a',
    '["NaN", NaN',
  ])('%s is no JSON', (text) => {
    expect(() => parseJson(text)).toThrow(expect.objectContaining({ code: 'NOT_JSON', kind: 'input' }));
  });
});

describe('half a surrogate pair', () => {
  test.each(['"\\ud83d"', '"\\uDE00 x"', '{"\\ud83d":1}', '[[{"a":"x\\ud83d\\u0041"}]]', '"\\ude00\\ud83d"'])(
    'is reported in %s',
    (text) => {
      expect(() => parseJson(text)).toThrow(expect.objectContaining({ code: 'LONE_SURROGATE' }));
    },
  );

  test('is not seen in whole pairs, and not in text that looks like an escape', () => {
    expect(parseJson('"\\ud83d\\ude00 \\\\ud800"')).toBe('😀 \\ud800');
  });

  test('is written as its escape, so that the line is valid UTF-8', () => {
    expect(formatJsonLine({ raw: 'a\ud83d' })).toBe('{"raw": "a\\ud83d"}');
  });

  test('is found behind a depth that no recursion survives', () => {
    const deep = `${'['.repeat(200_000)}"\\ud800"${']'.repeat(200_000)}`;
    expect(() => parseJson(deep)).toThrow(expect.objectContaining({ code: 'LONE_SURROGATE' }));
  });
});

test('__proto__ is a key like any other', () => {
  const value = parseJson('{"__proto__": {"polluted": NaN}}');
  expect(Object.keys(value as object)).toEqual(['__proto__']);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

test('fields that are undefined are left out', () => {
  expect(formatJsonLine({ a: undefined, b: [undefined] })).toBe('{"b": [null]}');
});
