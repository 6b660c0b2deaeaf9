import { expect, test } from 'vitest';
import { usageError } from './usage.js';

const WORDS = {
  commands: ['preprocess', 'convert', 'grade'],
  flags: ['input-file', 'output-file', 'output-path', 'system-prompt', 'tokenizer-path', 'keep', 'help'],
  positionals: ['path'],
};
const of = (message: string, ...argv: string[]): string => usageError(message, argv, WORDS).message;

test('a misspelt flag is named with the one that was meant, also where that one is required', () => {
  const missing = 'Missing required argument: input-file';
  expect(of(missing, '--input-fil', 'x')).toBe('Unknown argument: --input-fil, did you mean --input-file? see --help');
  expect(of(missing, '--inputfile=x')).toContain('did you mean --input-file?');
  expect(of(missing, '--tokenizer', 'x')).toContain('did you mean --tokenizer-path?');
  expect(of('Unknown arguments: kep, ouput-file, ouputFile', '--kep', '--ouputFile')).toBe(
    'Unknown arguments: --kep, --ouput-file, did you mean --keep, --output-file? see --help',
  );
});

test('nothing is suggested where nothing is near, or two flags are as good', () => {
  expect(of('Unknown argument: colour', '--colour')).toBe('Unknown argument: --colour, see --help');
  expect(of('Unknown argument: output', '--output')).toBe('Unknown argument: --output, see --help');
});

test('flags that are known in another spelling, and what follows a bare --, are not taken for misspelt', () => {
  const missing = 'Missing required arguments: input-file, output-file';
  const told = 'Missing required arguments: --input-file, --output-file, see --help';
  expect(of(missing, '--no-system-prompt', '--tokenizerPath', 'x', '--keep.a=1', '--', '--other')).toBe(told);
});

test('a misspelt command comes before the flags that the default command does not know', () => {
  expect(of('Unknown arguments: from, covert', 'covert', '--from', 'trl')).toBe(
    'Unknown argument: covert, did you mean convert? see --help',
  );
  expect(of('Unknown argument: raw.jsonl', 'raw.jsonl')).toBe('Unknown argument: raw.jsonl, see --help');
});

test('a positional that is missing is named', () => {
  expect(of('Not enough non-option arguments: got 0, need at least 1', 'grade')).toBe(
    'Missing required argument: path, see --help',
  );
});
