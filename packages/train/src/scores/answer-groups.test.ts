import fc from 'fast-check';
import { expect, test } from 'vitest';
import { groupAnswers } from './answer-groups.js';

const counted = (...answers: string[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const answer of answers) counts.set(answer, (counts.get(answer) ?? 0) + 1);
  return counts;
};

test('equal answers in different spellings are one group, under the most frequent spelling', () => {
  expect(groupAnswers(counted('0.5', '1/2', '3', '1/2', '\\frac{1}{2}', '4', '007', '7', '7'))).toEqual([
    ['1/2', '0.5', '\\frac{1}{2}'],
    ['7', '007'],
    ['3'],
    ['4'],
  ]);
});

test('10007 and 10008 are two answers', () => {
  expect(groupAnswers(counted('10007', '10008'))).toHaveLength(2);
});

test('the groups do not depend on the order of the answers', () => {
  const answers = fc.array(fc.constantFrom('1/2', '0.5', '.50', '2', '2.0', 'x', 'x+0', '-3', '3', ''), {
    minLength: 1,
  });
  fc.assert(
    fc.property(answers, (list) => {
      expect(groupAnswers(counted(...list.toReversed()))).toEqual(groupAnswers(counted(...list)));
    }),
  );
});
