import { type Budget, spend } from './budget.js';
import { evaluateExact } from './exact.js';
import type { Expression, FunctionName } from './expression.js';
import { bitLength, isInteger, type Rational } from './rational.js';

/**
 * Real constants to about 70 decimal places, as whole multiples of 2^-256. Doubles can't tell √(10^20 + 1) from 10^10,
 * or e^{π√163} from the whole number next to it; where they find two constants equal, this looks again.
 */
const PLACES = 256;
const P = BigInt(PLACES);
const UNIT = 1n << P;
/** Two values agree where they differ by less than this many units, for values about 1: 57 decimal places. */
const TOLERANCE_BITS = 64n;
/** Larger values, and divisors closer to 0 than 2^-64, are left to the doubles. */
const MAX_VALUE_BITS = PLACES + 4_096;
const MIN_DIVISOR = 1n << (P - 64n);
const MAX_EXPONENT = 2_000n;
/** A product of two of these numbers, and a function, in steps of the budget. */
const PRODUCT_STEPS = 2;
const FUNCTION_STEPS = 60;

const abs = (x: bigint): bigint => (x < 0n ? -x : x);
const times = (x: bigint, y: bigint): bigint => (x * y) >> P;
const over = (x: bigint, y: bigint): bigint => (x << P) / y;

/** Whether two real constants agree to many more places than doubles have; undefined where one can't be computed so. */
export function agreePrecisely(a: Expression, b: Expression, budget: Budget): boolean | undefined {
  const x = evaluate(a, budget);
  const y = x === undefined ? undefined : evaluate(b, budget);
  if (x === undefined || y === undefined) return undefined;
  const scale = BigInt(Math.max(0, bitLength(x) - PLACES));
  return abs(x - y) <= 1n << (TOLERANCE_BITS + scale);
}

function evaluate(node: Expression, budget: Budget): bigint | undefined {
  spend(budget, PRODUCT_STEPS);
  const values: bigint[] = [];
  if (node.op !== 'number' && 'args' in node) {
    for (const arg of node.args) {
      const value = evaluate(arg, budget);
      if (value === undefined || bitLength(value) > MAX_VALUE_BITS) return undefined;
      values.push(value);
    }
  }
  const [x = 0n, y = 0n] = values;
  switch (node.op) {
    case 'number':
      return (node.value.n << P) / node.value.d;
    case 'constant':
      return node.name === 'pi' ? PI : node.name === 'e' ? E : undefined;
    case 'sum':
      return values.reduce((total, value) => total + value, 0n);
    case 'product':
      return values.reduce(times, UNIT);
    case 'negative':
      return -x;
    case 'quotient':
      return abs(y) < MIN_DIVISOR ? undefined : over(x, y);
    case 'power':
      return power(x, y, evaluateExact(node.args[1], budget), budget);
    case 'call':
      spend(budget, FUNCTION_STEPS);
      return evaluateCall(node.name, values);
    default:
      return undefined;
  }
}

function power(base: bigint, exponent: bigint, exact: Rational | undefined, budget: Budget): bigint | undefined {
  if (exact && isInteger(exact)) {
    const n = exact.n / exact.d;
    if (abs(n) > MAX_EXPONENT || Number(abs(n)) * Math.max(1, bitLength(base) - PLACES) > MAX_VALUE_BITS)
      return undefined;
    spend(budget, PRODUCT_STEPS * 24);
    const result = wholePower(base, abs(n));
    if (n >= 0n) return result;
    return abs(result) < MIN_DIVISOR ? undefined : over(UNIT, result);
  }
  spend(budget, 2 * FUNCTION_STEPS);
  const log = ln(base);
  return log === undefined ? undefined : exp(times(exponent, log));
}

function wholePower(base: bigint, exponent: bigint): bigint {
  let [result, square] = [UNIT, base];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = times(result, square);
    if (rest > 1n) square = times(square, square);
  }
  return result;
}

function evaluateCall(name: FunctionName, [x = 0n, y]: readonly bigint[]): bigint | undefined {
  switch (name) {
    case 'root':
      return y !== undefined && y % UNIT === 0n ? root(x, y / UNIT) : undefined;
    case 'exp':
      return exp(x);
    case 'ln':
    case 'log': {
      const [log, base] = [ln(x), y === undefined ? UNIT : ln(y)];
      return log === undefined || base === undefined || abs(base) < MIN_DIVISOR ? undefined : over(log, base);
    }
    case 'abs':
      return abs(x);
    case 'sin':
      return sin(x);
    case 'cos':
      return cos(x);
    case 'tan': {
      const under = cos(x);
      return abs(under) < MIN_DIVISOR ? undefined : over(sin(x), under);
    }
    case 'arctan':
      return arctan(x);
    default:
      return undefined;
  }
}

function root(x: bigint, degree: bigint): bigint | undefined {
  if (degree < 1n || degree > 16n || (x < 0n && degree % 2n === 0n)) return undefined;
  if (x < 0n) return -(root(-x, degree) ?? 0n);
  if (x === 0n) return 0n;
  // The whole n-th root of x·2^{P(n−1)}, by Newton's method from above.
  const target = x << (P * (degree - 1n));
  let guess = 1n << BigInt(Math.ceil(bitLength(target) / Number(degree)) + 1);
  for (;;) {
    const next = ((degree - 1n) * guess + target / guess ** (degree - 1n)) / degree;
    if (next >= guess) return guess;
    guess = next;
  }
}

/** e^x by its series at x / 2^12, squared back; undefined where the result is too large or too small. */
function exp(x: bigint): bigint | undefined {
  if (abs(x) > MAX_EXPONENT << P) return undefined;
  if (x < 0n) {
    const inverse = exp(-x);
    return inverse && over(UNIT, inverse);
  }
  const halvings = 12n;
  const small = x >> halvings;
  // Squaring doubles the relative error each time, so the series is taken with guard bits.
  const guard = 64n;
  const scale = P + guard + halvings;
  const argument = small << (guard + halvings);
  let [term, total] = [1n << scale, 1n << scale];
  for (let k = 1n; term > 0n; k++) {
    term = ((term * argument) >> scale) / k;
    total += term;
  }
  for (let k = 0n; k < halvings; k++) total = (total * total) >> scale;
  return total >> (guard + halvings);
}

/** Halley's method on e^y = x from the double. */
function ln(x: bigint): bigint | undefined {
  if (x <= 0n || abs(x) < MIN_DIVISOR) return undefined;
  const shift = bitLength(x) - 64;
  const start = Math.log(Number(shift > 0 ? x >> BigInt(shift) : x)) + (Math.max(0, shift) - PLACES) * Math.LN2;
  let y = BigInt(Math.round(start * 2 ** 48)) << (P - 48n);
  for (let step = 0; step < 3; step++) {
    const power = exp(y);
    if (power === undefined) return undefined;
    y += over(2n * (x - power), x + power);
  }
  return y;
}

/** Σ ± x^k / k! over every second k from `first` on. */
function alternating(x: bigint, first: bigint): bigint {
  let term = first === 0n ? UNIT : x;
  let total = term;
  const square = times(x, x);
  for (let k = first + 2n; term !== 0n && term !== -1n; k += 2n) {
    term = -times(term, square) / (k * (k - 1n));
    total += term;
  }
  return total;
}

/** x brought into −π … π; the error grows with x, and is far below the tolerance for x of fewer than 64 bits. */
const reduce = (x: bigint): bigint => {
  const turns = (x + PI) / (2n * PI);
  return x - turns * 2n * PI;
};
const sin = (x: bigint): bigint => alternating(reduce(x), 1n);
const cos = (x: bigint): bigint => alternating(reduce(x), 0n);

/** arctan x = 2 arctan(x / (1 + √(1 + x²))), six times, then the series. */
function arctan(x: bigint): bigint {
  const halvings = 6n;
  let small = x;
  for (let k = 0n; k < halvings; k++) small = over(small, UNIT + (root(UNIT + times(small, small), 2n) ?? 0n));
  return arctanSeries(small) << halvings;
}

function arctanSeries(x: bigint): bigint {
  const square = times(x, x);
  let [power, total] = [x, x];
  for (let k = 3n; power !== 0n && power !== -1n; k += 2n) {
    power = -times(power, square);
    total += power / k;
  }
  return total;
}

/** Machin's formula. */
const PI = 16n * arctanSeries(UNIT / 5n) - 4n * arctanSeries(UNIT / 239n);
const E = exp(UNIT) ?? 0n;
