import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBudget, StepLimitReached } from './budget.js';
import { add, compareRational, exactRoot, integerPower, MAX_BITS, multiply, rational, toNumber } from './rational.js';

const budget = () => createBudget(Number.POSITIVE_INFINITY);
const fraction = fc
  .tuple(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), fc.bigInt({ min: 1n, max: 2n ** 80n }))
  .map(([n, d]) => ({ n, d }));

describe('rational arithmetic', () => {
  it('keeps the laws of a field', () => {
    fc.assert(
      fc.property(fraction, fraction, fraction, (a, b, c) => {
        const sum = add(a, b, budget());
        const left = sum && multiply(sum, c, budget());
        const [ac, bc] = [multiply(a, c, budget()), multiply(b, c, budget())];
        const right = ac && bc && add(ac, bc, budget());
        expect(left && right && compareRational(left, right, budget())).toBe(0);
      }),
    );
  });

  it('finds a root exactly where there is one', () => {
    fc.assert(
      fc.property(fraction, fc.integer({ min: 1, max: 5 }), (x, degree) => {
        const power = integerPower(x, BigInt(degree), budget());
        const root = power && exactRoot(power, degree, budget());
        const expected = degree % 2 === 0 && x.n < 0n ? { n: -x.n, d: x.d } : x;
        expect(root && compareRational(root, expected, budget())).toBe(0);
      }),
    );
    expect(exactRoot({ n: 2n, d: 1n }, 2, budget())).toBeUndefined();
    expect(exactRoot({ n: -4n, d: 1n }, 2, budget())).toBeUndefined();
  });

  it('gives up on numbers that are too long, before computing them', () => {
    expect(integerPower({ n: 10n, d: 1n }, 10n ** 10n, createBudget())).toBeUndefined();
    expect(rational(1n << BigInt(MAX_BITS + 8), 1n, createBudget())).toBeUndefined();
    expect(rational(1n, 0n, createBudget())).toBeUndefined();
  });

  it('stops where its budget ends', () => {
    const long = { n: 3n ** 5_000n, d: 7n ** 2_000n };
    expect(() => multiply(long, long, createBudget(10))).toThrow(StepLimitReached);
  });

  it('rounds to the nearest double, however long the parts are', () => {
    expect(toNumber({ n: 10n ** 400n + 1n, d: 3n * 10n ** 400n })).toBeCloseTo(1 / 3, 15);
    expect(toNumber({ n: -(10n ** 400n), d: 1n })).toBe(Number.NEGATIVE_INFINITY);
    expect(toNumber({ n: 1n, d: 10n ** 320n })).toBeCloseTo(0, 300);
  });
});
