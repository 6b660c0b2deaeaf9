import { ScorerError } from '@scorer/core/errors';
import { expect, test } from 'vitest';
import { outcomeOf, reasonOf, speaksOfMachine } from './outcome.js';

const error = (kind: 'usage' | 'input' | 'retryable', code = 'CODE'): ScorerError =>
  new ScorerError({ code, kind, what: 'what', where: 'here' });
const systemError = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write' });

test.each([
  ['exit code 4', error('retryable'), 'retry'],
  ['exit code 4, of the system', systemError, 'retry'],
  ['exit code 1', new TypeError('x is not a function'), 'retry'],
  ['exit code 2', error('usage'), 'fail'],
  ['exit code 3', error('input'), 'fail'],
])('what would end a command with %s', (_, thrown, outcome) => {
  expect(outcomeOf(thrown)).toBe(outcome);
});

test('a worker blames itself for what is retried, and for shards full of failures, not for an input that changed', () => {
  for (const thrown of [systemError, new Error('x'), error('retryable'), error('input', 'TOO_MANY_FAILURES')]) {
    expect(speaksOfMachine(thrown)).toBe(true);
  }
  expect(speaksOfMachine(error('input', 'INPUT_CHANGED'))).toBe(false);
});

test('a reason is one line that begins with the code', () => {
  expect(reasonOf(error('input'))).toBe('[CODE] what, here');
  expect(reasonOf(systemError)).toMatch(/^\[DISK_FULL\] /);
  expect(reasonOf(new Error('first\n  second'))).toBe('[INTERNAL] first second');
});
