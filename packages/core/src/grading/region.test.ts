import { describe, expect, it } from 'vitest';
import type { Interval } from './answer.js';
import { createBudget } from './budget.js';
import { number } from './expression.js';
import { createRegion, intersect, REALS, withoutPoints } from './region.js';
import { createValue, realOf } from './value.js';

const budget = createBudget();
const value = (n: number) => createValue(number(n));
/** "[1,2)" and the like. */
function interval(text: string): Interval {
  const [low = 0, high = 0] = text.slice(1, -1).split(',').map(Number);
  return { low: value(low), high: value(high), lowClosed: text.startsWith('['), highClosed: text.endsWith(']') };
}
const region = (...texts: string[]) => createRegion(undefined, texts.map(interval), budget);
const show = ({ intervals }: { intervals: readonly Interval[] }) =>
  intervals
    .map(({ low, high, lowClosed, highClosed }) => {
      const [from, to] = [low, high].map((end) => (typeof end === 'string' ? end : realOf(end, budget)));
      return `${lowClosed ? '[' : '('}${from},${to}${highClosed ? ']' : ')'}`;
    })
    .join(' ');

describe('a region of the real line', () => {
  it('is sorted, and its overlapping and touching intervals are one', () => {
    expect(show(region('[5,6]', '[1,2]', '(2,3)', '(0,1]'))).toBe('(0,3) [5,6]');
    expect(show(region('(0,1)', '(1,2)'))).toBe('(0,1) (1,2)');
    expect(show(region('[0,9]', '(3,4)'))).toBe('[0,9]');
  });

  it('drops empty intervals and keeps single points', () => {
    expect(show(region('(2,2)', '(3,1)', '[4,4]'))).toBe('[4,4]');
  });

  it('can be intersected and have points taken out', () => {
    expect(show(intersect(region('[0,5)', '[7,9]'), region('(1,8)'), budget) ?? region())).toBe('(1,5) [7,8)');
    const reals = createRegion('x', [REALS], budget);
    expect(show(withoutPoints(reals, [value(2), value(-1)], budget) ?? region())).toBe('(-∞,-1) (-1,2) (2,+∞)');
  });
});
