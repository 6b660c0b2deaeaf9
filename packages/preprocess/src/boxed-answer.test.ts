import { describe, expect, it } from 'vitest';
import { lastBoxedAnswer } from './boxed-answer.js';

describe('lastBoxedAnswer', () => {
  it.each([
    ['the last of several', 'So \\boxed{3}. No, \\boxed{ 4 }.', '4'],
    ['nested braces', '\\boxed{\\frac{1}{2^{n}}}', '\\frac{1}{2^{n}}'],
    ['escaped braces, which are no braces', '\\boxed{\\{1, 2\\}}', '\\{1, 2\\}'],
    ['the box before one that was cut off', '\\boxed{5} and so \\boxed{\\frac{1', '5'],
    ['the box before an empty one', 'It is \\boxed{5}, within \\boxed{}.', '5'],
    ['the inner of two boxes', '\\boxed{a = \\boxed{7}}', '7'],
    ['a box among stray braces', '} { \\boxed{8} {', '8'],
  ])('finds %s', (_, text, answer) => {
    expect(lastBoxedAnswer(text)).toBe(answer);
  });

  it.each(['', 'The answer is 5.', '\\boxed 5', '\\boxed{5', '\\\\boxed{5}', '\\boxed{ }'])(
    'finds none in %j',
    (text) => {
      expect(lastBoxedAnswer(text)).toBeUndefined();
    },
  );

  it('takes one pass over boxes that never close', () => {
    expect(lastBoxedAnswer('\\boxed{'.repeat(1_000_000))).toBeUndefined();
    expect(lastBoxedAnswer(`${'\\boxed{'.repeat(100_000)}x${'}'.repeat(100_000)}`)).toBe('x');
  });
});
