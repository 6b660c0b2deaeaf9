import { type Budget, spend } from './budget.js';
import type { Expression } from './expression.js';
import {
  add,
  bitLength,
  compareRational,
  exactRoot,
  gcd,
  integer,
  integerPower,
  invert,
  isInteger,
  lowestTerms,
  MAX_BITS,
  multiply,
  negate,
  ONE,
  type Rational,
  rational,
  sign,
  ZERO,
} from './rational.js';

/** Factorials above this are longer than `MAX_BITS`. */
const MAX_FACTORIAL = 1_700n;
/** Terms of a sum that are added one by one. */
export const MAX_SERIES_TERMS = 1_000;
/** Roots of a higher degree are irrational for every number short enough to be tried, except 0 and 1. */
const MAX_ROOT_DEGREE = 4_096n;

type Bindings = ReadonlyMap<string, Rational>;
const NO_BINDINGS: Bindings = new Map();

/**
 * The value of an expression as a fraction; undefined where it has variables, is irrational (or can't be seen to be
 * rational), has no value, or is longer than `MAX_BITS`.
 */
export function evaluateExact(expression: Expression, budget: Budget, bound = NO_BINDINGS): Rational | undefined {
  spend(budget, 1);
  const inner = (node: Expression) => evaluateExact(node, budget, bound);
  switch (expression.op) {
    case 'number':
      return expression.value;
    case 'constant':
      return undefined;
    case 'symbol':
      return bound.get(expression.name);
    case 'indexed':
      return undefined;
    case 'negative': {
      const value = inner(expression.args[0]);
      return value && negate(value);
    }
    case 'sum':
      return fold(expression.args, inner, ZERO, (a, b) => add(a, b, budget));
    case 'product':
      return fold(expression.args, inner, ONE, (a, b) => multiply(a, b, budget));
    case 'quotient': {
      const [over, under] = [inner(expression.args[0]), inner(expression.args[1])];
      const inverse = over && under && invert(under);
      return over && inverse && multiply(over, inverse, budget);
    }
    case 'power': {
      const [base, exponent] = [inner(expression.args[0]), inner(expression.args[1])];
      return base && exponent && exactPower(base, exponent, budget);
    }
    case 'call': {
      const args: Rational[] = [];
      for (const arg of expression.args) {
        const value = inner(arg);
        if (!value) return undefined;
        args.push(value);
      }
      return exactCall(expression.name, args, budget);
    }
    case 'series': {
      const [from, to] = [inner(expression.from), inner(expression.to)];
      if (!from || !to || !isInteger(from) || !isInteger(to)) return undefined;
      const first = from.n / from.d;
      const count = to.n / to.d - first + 1n;
      if (count > BigInt(MAX_SERIES_TERMS)) return undefined;
      let total: Rational | undefined = expression.kind === 'sum' ? ZERO : ONE;
      for (let k = 0n; k < count && total; k++) {
        const scope = new Map(bound).set(expression.index, integer(first + k));
        const term = evaluateExact(expression.body, budget, scope);
        total = term && (expression.kind === 'sum' ? add(total, term, budget) : multiply(total, term, budget));
      }
      return total;
    }
  }
}

function fold(
  args: readonly Expression[],
  evaluate: (node: Expression) => Rational | undefined,
  start: Rational,
  combine: (a: Rational, b: Rational) => Rational | undefined,
): Rational | undefined {
  let result: Rational | undefined = start;
  for (const arg of args) {
    const value = evaluate(arg);
    result = value && combine(result, value);
    if (!result) return undefined;
  }
  return result;
}

function exactPower(base: Rational, exponent: Rational, budget: Budget): Rational | undefined {
  if (isInteger(exponent)) {
    if (base.n === 0n && exponent.n <= 0n) return undefined;
    return integerPower(base, exponent.n / exponent.d, budget);
  }
  const { n, d } = lowestTerms(exponent, budget);
  if (d > MAX_ROOT_DEGREE) return undefined;
  const root = exactRoot(base, Number(d), budget);
  return root && exactPower(root, { n, d: 1n }, budget);
}

function floor(x: Rational): bigint {
  const quotient = x.n / x.d;
  return x.n < 0n && quotient * x.d !== x.n ? quotient - 1n : quotient;
}

function exactCall(name: string, args: readonly Rational[], budget: Budget): Rational | undefined {
  const [x = ZERO, y] = args;
  const whole = args.every(isInteger);
  const [n, k] = [x.n / x.d, y ? y.n / y.d : 0n];
  switch (name) {
    case 'abs':
      return sign(x) < 0 ? negate(x) : x;
    case 'floor':
      return integer(floor(x));
    case 'ceil':
      return integer(-floor(negate(x)));
    case 'Re':
    case 'conj':
      return x;
    case 'Im':
      return ZERO;
    case 'root':
      return y && isInteger(y) && k > 0n && k <= MAX_ROOT_DEGREE ? exactRoot(x, Number(k), budget) : undefined;
    case 'max':
    case 'min':
      return args.reduce<Rational | undefined>((best, value) => {
        const order = best && compareRational(value, best, budget);
        if (order === undefined) return undefined;
        return (name === 'max' ? order > 0 : order < 0) ? value : best;
      }, x);
    case 'gcd':
      return whole ? integer(args.reduce((divisor, value) => gcd(divisor, value.n / value.d, budget), 0n)) : undefined;
    case 'lcm':
      if (!whole || args.some((value) => value.n === 0n)) return undefined;
      return args.reduce<Rational | undefined>((multiple, value) => {
        if (!multiple) return undefined;
        const next = value.n / value.d;
        return multiply(multiple, integer(next / gcd(multiple.n, next, budget)), budget);
      }, ONE);
    case 'mod': {
      if (!whole || !y || k <= 0n) return undefined;
      return integer(((n % k) + k) % k);
    }
    case 'factorial':
      return whole && n >= 0n && n <= MAX_FACTORIAL ? fallingProduct(n, n, 1n, budget) : undefined;
    case 'doublefactorial':
      return whole && n >= 0n && n <= MAX_FACTORIAL ? fallingProduct(n, (n + 1n) / 2n, 2n, budget) : undefined;
    case 'binomial': {
      if (!whole || !y || n < 0n) return undefined;
      const smaller = k < n - k ? k : n - k;
      if (smaller < 0n) return ZERO;
      if (smaller > MAX_FACTORIAL) return undefined;
      const over = fallingProduct(n, smaller, 1n, budget);
      const under = fallingProduct(smaller, smaller, 1n, budget);
      return over && under && rational(over.n / under.n, 1n, budget);
    }
    default:
      return undefined;
  }
}

/** n (n − step) (n − 2 step) …, `count` factors, halved again and again so that the factors of a product are of one size. */
function fallingProduct(n: bigint, count: bigint, step: bigint, budget: Budget): Rational | undefined {
  if (Number(count) * (bitLength(n - (count / 2n) * step) - 4) > MAX_BITS) return undefined;
  const between = (from: bigint, to: bigint): bigint => {
    if (to - from > 1n) return between(from, (from + to) / 2n) * between((from + to) / 2n, to);
    spend(budget, 1);
    return to > from ? n - from * step : 1n;
  };
  return rational(between(0n, count), 1n, budget);
}
