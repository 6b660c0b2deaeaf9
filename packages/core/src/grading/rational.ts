import { type Budget, spend } from './budget.js';

/** An exact fraction, denominator positive, not kept in lowest terms: a gcd costs more than the comparison needs. */
export interface Rational {
  readonly n: bigint;
  readonly d: bigint;
}

/** Numbers longer than this (about 4,900 digits; 1000! has 8,530 bits) are compared by residues instead. */
export const MAX_BITS = 16_384;
/** Below this many bits reducing a fraction is cheap and keeps later products small. */
const REDUCE_BELOW_BITS = 512;
/** Integer products are charged by machine words: about this many word products fit in one step. */
const WORD_PRODUCTS_PER_STEP = 100;
/** Finding the length of a number takes a step for about this many of its bits. */
const BITS_PER_STEP = 4_096;

export const ZERO: Rational = { n: 0n, d: 1n };
export const ONE: Rational = { n: 1n, d: 1n };

export const integer = (n: bigint | number): Rational => ({ n: BigInt(n), d: 1n });
export const isInteger = (x: Rational): boolean => x.d === 1n || x.n % x.d === 0n;
export const negate = (x: Rational): Rational => ({ n: -x.n, d: x.d });
export const toNumber = (x: Rational): number => ratioToNumber(x.n, x.d);
export const sign = (x: Rational): number => (x.n > 0n ? 1 : x.n < 0n ? -1 : 0);

export function bitLength(n: bigint): number {
  return (n < 0n ? -n : n).toString(16).length * 4;
}

/** Work and size checks come before the product: undefined where the result would pass `MAX_BITS`. */
function product(a: bigint, b: bigint, budget: Budget): bigint | undefined {
  if (a === 1n) return b;
  if (b === 1n) return a;
  const bitsA = bitLength(a);
  const bitsB = bitLength(b);
  if (bitsA + bitsB > 2 * MAX_BITS) return undefined;
  const words = (bitsA / 64) * (bitsB / 64);
  spend(budget, 1 + Math.ceil(words / WORD_PRODUCTS_PER_STEP + (bitsA + bitsB) / BITS_PER_STEP));
  return a * b;
}

/** The fraction n/d with a positive denominator; undefined for d = 0 and past the size limit. */
export function rational(n: bigint | undefined, d: bigint | undefined, budget: Budget): Rational | undefined {
  if (n === undefined || d === undefined || d === 0n) return undefined;
  if (d < 0n) return rational(-n, -d, budget);
  if (d === 1n) return bitLength(n) > MAX_BITS ? undefined : { n, d };
  const bits = bitLength(n) + bitLength(d);
  if (bits > 2 * MAX_BITS) return undefined;
  return bits > REDUCE_BELOW_BITS ? { n, d } : lowestTerms({ n, d }, budget);
}

/** The same fraction in lowest terms. Only for fractions short enough that Euclid's steps don't matter. */
export function lowestTerms(x: Rational, budget: Budget): Rational {
  if (x.n % x.d === 0n) return { n: x.n / x.d, d: 1n };
  const divisor = gcd(x.n, x.d, budget);
  return divisor === 1n ? x : { n: x.n / divisor, d: x.d / divisor };
}

export function gcd(a: bigint, b: bigint, budget: Budget): bigint {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b];
  while (y !== 0n) {
    spend(budget, 1);
    [x, y] = [y, x % y];
  }
  return x;
}

export function add(a: Rational, b: Rational, budget: Budget): Rational | undefined {
  if (a.d === b.d) return rational(a.n + b.n, a.d, budget);
  const left = product(a.n, b.d, budget);
  const right = product(b.n, a.d, budget);
  if (left === undefined || right === undefined) return undefined;
  return rational(left + right, product(a.d, b.d, budget), budget);
}

export function multiply(a: Rational, b: Rational, budget: Budget): Rational | undefined {
  return rational(product(a.n, b.n, budget), product(a.d, b.d, budget), budget);
}

export function invert(x: Rational): Rational | undefined {
  if (x.n === 0n) return undefined;
  return x.n < 0n ? { n: -x.d, d: -x.n } : { n: x.d, d: x.n };
}

/** −1, 0 or 1 as a is less than, equal to or greater than b. */
export function compareRational(a: Rational, b: Rational, budget: Budget): number | undefined {
  const left = product(a.n, b.d, budget);
  const right = product(b.n, a.d, budget);
  if (left === undefined || right === undefined) return undefined;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** x to a whole power; undefined for 0 to a negative power and where the result would pass `MAX_BITS`. */
export function integerPower(x: Rational, exponent: bigint, budget: Budget): Rational | undefined {
  if (exponent < 0n) {
    const inverse = invert(x);
    return inverse && integerPower(inverse, -exponent, budget);
  }
  if (exponent === 0n) return ONE;
  if (x.d === 1n && (x.n === 0n || x.n === 1n)) return x;
  if (x.d === 1n && x.n === -1n) return exponent % 2n === 0n ? ONE : x;
  const bits = Math.max(bitLength(x.n), bitLength(x.d)) - 3;
  if (exponent > BigInt(MAX_BITS) || Math.max(bits, 1) * Number(exponent) > MAX_BITS) return undefined;
  const words = (bits * Number(exponent)) / 64;
  spend(budget, 1 + Math.ceil((2 * words * words) / WORD_PRODUCTS_PER_STEP));
  return rational(x.n ** exponent, x.d ** exponent, budget);
}

/** The exact real n-th root of x where it is rational, else undefined. */
export function exactRoot(x: Rational, degree: number, budget: Budget): Rational | undefined {
  if (degree < 1 || (x.n < 0n && degree % 2 === 0)) return undefined;
  if (bitLength(x.n) + bitLength(x.d) > 4 * REDUCE_BELOW_BITS) return undefined;
  const { n, d } = lowestTerms(x, budget);
  const top = integerRoot(n < 0n ? -n : n, degree, budget);
  const bottom = integerRoot(d, degree, budget);
  if (top === undefined || bottom === undefined) return undefined;
  return { n: n < 0n ? -top : top, d: bottom };
}

/** Newton's method from above on whole numbers. */
function integerRoot(n: bigint, degree: number, budget: Budget): bigint | undefined {
  if (n < 2n || degree === 1) return n;
  if (degree > bitLength(n)) return undefined;
  const k = BigInt(degree);
  let root = 1n << BigInt(Math.ceil(bitLength(n) / degree) + 1);
  for (;;) {
    spend(budget, 4);
    const next = ((k - 1n) * root + n / root ** (k - 1n)) / k;
    if (next >= root) break;
    root = next;
  }
  return root ** k === n ? root : undefined;
}

/** Nearest double, also where numerator and denominator are each too long for one. */
function ratioToNumber(n: bigint, d: bigint): number {
  if (n < 0n) return -ratioToNumber(-n, d);
  if (n === 0n) return 0;
  const [bitsN, bitsD] = [bitLength(n), bitLength(d)];
  if (bitsN < 1000 && bitsD < 1000 && d === 1n) return Number(n);
  const shift = bitsN - bitsD - 64;
  const quotient = shift > 0 ? n / (d << BigInt(shift)) : (n << BigInt(-shift)) / d;
  return Math.abs(shift) < 900 ? Number(quotient) * 2 ** shift : Number(quotient) * 2 ** (shift / 2) * 2 ** (shift / 2);
}
