import { type Budget, spend } from './budget.js';
import { evaluateExact } from './exact.js';
import type { Expression } from './expression.js';
import { hash } from './hash.js';
import { isInteger, type Rational } from './rational.js';

/**
 * Exact arithmetic in the remainders modulo a large prime. Two rational expressions that agree there at random points
 * are the same (Schwartz–Zippel); two that differ anywhere are not. No number ever grows, so 2^{10^9} + 1 and
 * (x + y + z)^{30} are as easy as 3 + x.
 *
 * A variable stands for one large whole number, so that it can also be an exponent: a^n mod p needs n mod p − 1 only,
 * a^{b^n} needs n modulo the Carmichael function of p − 1, and so on down a chain of moduli that soon reaches 1.
 */
export const PRIMES = [2n ** 61n - 1n, 2n ** 31n - 1n] as const;

/** Variables are whole numbers of 4 × 31 bits: more than a prime has, and products of them far below the range of a double. */
const VARIABLE_WORDS = 4;
/** A power a^b mod m takes the reduced exponent only for b above the multiplicity of every prime in m. */
const MIN_REDUCED_EXPONENT = 64n;
/** One modular power is about 120 products of two words. */
const POWER_STEPS = 60;

const chains = PRIMES.map(moduliBelow);

export interface Residue {
  readonly value: bigint;
  /**
   * Whether equal residues mean equal values. Not where a power stands in an exponent's exponent: the moduli of the
   * chain are small there, and towers of different height look alike.
   */
  readonly conclusive: boolean;
}

/** The value at point `point` modulo prime number `prime`, or undefined where the expression is not a rational one. */
export function evaluateResidue(
  expression: Expression,
  { prime, point }: { prime: 0 | 1; point: number },
  budget: Budget,
): Residue | undefined {
  const chain = chains[prime] as readonly bigint[];
  let deepest = 0;

  /** The value modulo chain[level]; division exists at level 0 only, where the modulus is prime. */
  const evaluate = (node: Expression, level: number): bigint | undefined => {
    spend(budget, 1);
    deepest = Math.max(deepest, level);
    const modulus = chain[level] ?? 1n;
    const reduce = (value: bigint) => ((value % modulus) + modulus) % modulus;
    switch (node.op) {
      case 'number': {
        const { n, d } = node.value;
        if (n % d === 0n) return reduce(n / d);
        const inverse = level === 0 ? inverseModulo(reduce(d), modulus) : undefined;
        return inverse && reduce(n * inverse);
      }
      case 'symbol':
        spend(budget, VARIABLE_WORDS);
        return reduce(variable(node.name, point));
      case 'indexed': {
        const index = evaluateExact(node.index, budget);
        return index && reduce(variable(`${node.name}_${index.n}/${index.d}`, point));
      }
      case 'negative': {
        const value = evaluate(node.args[0], level);
        return value === undefined ? undefined : reduce(-value);
      }
      case 'sum':
      case 'product': {
        let result = node.op === 'sum' ? 0n : 1n;
        for (const arg of node.args) {
          const value = evaluate(arg, level);
          if (value === undefined) return undefined;
          result = reduce(node.op === 'sum' ? result + value : result * value);
        }
        return result;
      }
      case 'quotient': {
        if (level > 0) return undefined;
        const over = evaluate(node.args[0], level);
        const under = evaluate(node.args[1], level);
        const inverse = under === undefined ? undefined : inverseModulo(under, modulus);
        return over === undefined || inverse === undefined ? undefined : reduce(over * inverse);
      }
      case 'power': {
        const base = evaluate(node.args[0], level);
        return base === undefined ? undefined : evaluatePower(base, node.args[1], level);
      }
      case 'call': {
        const exact = evaluateExact(node, budget);
        return exact && isInteger(exact) ? reduce(exact.n / exact.d) : undefined;
      }
      default:
        return undefined;
    }
  };

  const evaluatePower = (base: bigint, exponent: Expression, level: number): bigint | undefined => {
    const modulus = chain[level] ?? 1n;
    const exact = exactExponent(exponent, budget);
    if (exact) {
      if (!isInteger(exact)) return undefined;
      const whole = exact.n / exact.d;
      const start = whole < 0n && level === 0 ? inverseModulo(base, modulus) : base;
      if (start === undefined || (whole < 0n && level > 0) || (base === 0n && whole <= 0n)) return undefined;
      const size = whole < 0n ? -whole : whole;
      return powerModulo(start, size < MIN_REDUCED_EXPONENT ? size : raised(size, level), modulus, budget);
    }
    const size = magnitude(exponent, point);
    if (Number.isNaN(size) || Math.abs(size) < Number(MIN_REDUCED_EXPONENT)) return undefined;
    if (size < 0) {
      const inverse = level === 0 ? inverseModulo(base, modulus) : undefined;
      return inverse && evaluatePower(inverse, { op: 'negative', args: [exponent] }, level);
    }
    const reduced = evaluate(exponent, level + 1);
    return reduced === undefined ? undefined : powerModulo(base, raised(reduced, level), modulus, budget);
  };

  /** The smallest exponent above the limit that gives the same power modulo chain[level]. */
  const raised = (exponent: bigint, level: number): bigint => {
    const below = chain[level + 1] ?? 1n;
    return (exponent % below) + below * (MIN_REDUCED_EXPONENT / below + 1n);
  };

  const value = evaluate(expression, 0);
  return value === undefined ? undefined : { value, conclusive: deepest <= CONCLUSIVE_LEVEL };
}

/** Levels of the chain whose moduli are large: the prime, and the prime less one. */
const CONCLUSIVE_LEVEL = 1;

/** Exponents are worked out once for all points and both primes. */
const exactExponents = new WeakMap<Expression, { readonly value: Rational | undefined }>();

function exactExponent(exponent: Expression, budget: Budget): Rational | undefined {
  let known = exactExponents.get(exponent);
  if (!known) {
    known = { value: evaluateExact(exponent, budget) };
    exactExponents.set(exponent, known);
  }
  return known.value;
}

/** A rough size, only to know that a reduced exponent is large and positive; NaN where that can't be known. */
function magnitude(node: Expression, point: number): number {
  const inner = (child: Expression) => magnitude(child, point);
  switch (node.op) {
    case 'number':
      return Number(node.value.n) / Number(node.value.d);
    case 'symbol':
      return Number(variable(node.name, point));
    case 'negative':
      return -inner(node.args[0]);
    case 'sum':
      return node.args.reduce((total, arg) => total + inner(arg), 0);
    case 'product':
      return node.args.reduce((total, arg) => total * inner(arg), 1);
    case 'power':
      return inner(node.args[0]) ** inner(node.args[1]);
    default:
      return Number.NaN;
  }
}

/** The whole number that a variable stands for at a point. Points alternate in parity, so that (−1)^n is not 1. */
function variable(name: string, point: number): bigint {
  let large = 1n;
  for (let word = 0; word < VARIABLE_WORDS; word++)
    large = (large << 31n) | BigInt(hash(`${word}${point}${name}`) >>> 1);
  return (large | 1n) ^ BigInt(point & 1);
}

function powerModulo(base: bigint, exponent: bigint, modulus: bigint, budget: Budget): bigint {
  const bits = exponent.toString(2);
  spend(budget, Math.ceil((POWER_STEPS * bits.length) / 64));
  let result = 1n % modulus;
  for (const bit of bits) {
    result = (result * result) % modulus;
    if (bit === '1') result = (result * base) % modulus;
  }
  return result;
}

/** Extended Euclid; undefined where there is no inverse. */
function inverseModulo(value: bigint, modulus: bigint): bigint | undefined {
  let [r, nextR, t, nextT] = [modulus, value, 0n, 1n];
  while (nextR !== 0n) {
    const quotient = r / nextR;
    [r, nextR, t, nextT] = [nextR, r - quotient * nextR, nextT, t - quotient * nextT];
  }
  return r === 1n ? ((t % modulus) + modulus) % modulus : undefined;
}

/** m, λ(m), λ(λ(m)), … down to 1, where λ is the Carmichael function: a^b mod m depends on b mod λ(m). */
function moduliBelow(prime: bigint): bigint[] {
  const chain = [prime];
  for (let modulus = prime - 1n; modulus > 1n; modulus = carmichael(modulus)) chain.push(modulus);
  return [...chain, 1n];
}

function carmichael(modulus: bigint): bigint {
  let rest = modulus;
  let result = 1n;
  for (let factor = 2n; rest > 1n; factor++) {
    let [power, count] = [1n, 0];
    for (; rest % factor === 0n; rest /= factor, count++) power *= factor;
    if (count === 0) continue;
    const order = factor === 2n && count > 2 ? power / 4n : (power / factor) * (factor - 1n);
    result = leastCommonMultiple(result, order);
  }
  return result;
}

function leastCommonMultiple(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return (a / x) * b;
}
