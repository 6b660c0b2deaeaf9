import { expect, test } from 'vitest';
import { ScorerError } from '../errors/index.js';
import { describeFailure } from './exit.js';

test.each([
  ['usage', 2],
  ['input', 3],
  ['retryable', 4],
] as const)('an error of kind %s exits with %i and one line', (kind, exitCode) => {
  const error = new ScorerError({ code: 'SOME_CODE', kind, what: 'what\nhappened', where: 'here', hint: 'do this' });
  expect(describeFailure(error)).toEqual({ exitCode, line: 'error[SOME_CODE]: what happened, here, do this' });
});

test('a full disk is retryable and a missing file is bad input', () => {
  const systemError = (code: string): Error => Object.assign(new Error(code), { code, path: 'some/file' });
  expect(describeFailure(systemError('ENOSPC'))).toMatchObject({
    exitCode: 4,
    line: expect.stringMatching(/^error\[DISK_FULL\]: .*some\/file/),
  });
  expect(describeFailure(systemError('ENOENT'))).toMatchObject({
    exitCode: 3,
    line: expect.stringMatching(/^error\[FILE_NOT_FOUND\]/),
  });
});

test('whatever else is thrown is a bug', () => {
  expect(describeFailure(new TypeError('x is not a function'))).toMatchObject({ exitCode: 1 });
});
