import { type Budget, spend } from './budget.js';
import * as complex from './complex.js';
import { type Complex, fromReal, isDefined, isReal, UNDEFINED } from './complex.js';
import { MAX_SERIES_TERMS } from './exact.js';
import type { Expression, FunctionName } from './expression.js';
import { hash } from './hash.js';
import { lowestTerms, toNumber } from './rational.js';

/**
 * Points at which two expressions are compared: eight of size about 1, in pairs of opposite sign (|x| is not x), four
 * larger positive ones (√(x − 5) has no real value near 0), and six of small whole numbers (sums up to n).
 */
export const POINTS = 18;
const PAIRED_POINTS = 8;
const REAL_POINTS = 12;

/** What a variable is worth at a point: a hash of its name, so that both answers see the same value. */
function variable(name: string, point: number): number {
  const paired = point < PAIRED_POINTS;
  const unit = fraction(`${name}@${paired ? point >> 1 : point}`);
  if (point >= REAL_POINTS) return 1 + Math.floor(unit * 9);
  if (!paired) return 4 + unit * 12;
  const positive = fraction(`${name}±${point >> 1}`) < 0.5 === (point % 2 === 0);
  return (positive ? 1 : -1) * (0.3 + unit * 2);
}

const fraction = (text: string): number => hash(text) / 2 ** 32;

type Bindings = ReadonlyMap<string, number>;

/** Value of the expression at a point in doubles with an error bound; NaN where it has none. */
export function evaluateNumeric(expression: Expression, point: number, budget: Budget): Complex {
  const evaluate = (node: Expression, bound: Bindings): Complex => {
    spend(budget, 1);
    const inner = (child: Expression) => evaluate(child, bound);
    switch (node.op) {
      case 'number':
        return fromReal(toNumber(node.value));
      case 'constant':
        return node.name === 'i' ? complex.I : fromReal(node.name === 'pi' ? Math.PI : Math.E);
      case 'symbol':
        return fromReal(bound.get(node.name) ?? variable(node.name, point), 0);
      case 'indexed': {
        const index = inner(node.index);
        if (!isDefined(index) || !isReal(index)) return UNDEFINED;
        return fromReal(variable(`${node.name}_${index.re.toPrecision(9)}`, point), 0);
      }
      case 'negative':
        return complex.negate(inner(node.args[0]));
      case 'sum':
        return node.args.map(inner).reduce(complex.add);
      case 'product':
        return node.args.map(inner).reduce(complex.multiply);
      case 'quotient':
        return complex.divide(inner(node.args[0]), inner(node.args[1]));
      case 'power':
        return evaluatePower(node.args[0], node.args[1], inner);
      case 'call':
        spend(budget, 2);
        return evaluateCall(node.name, node.args.map(inner), point);
      case 'series': {
        const [from, to] = [wholeNumber(inner(node.from)), wholeNumber(inner(node.to))];
        if (from === undefined || to === undefined || to - from > MAX_SERIES_TERMS) return UNDEFINED;
        let total = fromReal(node.kind === 'sum' ? 0 : 1, 0);
        for (let k = from; k <= to; k++) {
          const term = evaluate(node.body, new Map(bound).set(node.index, k));
          total = node.kind === 'sum' ? complex.add(total, term) : complex.multiply(total, term);
        }
        return total;
      }
    }
  };
  return evaluate(expression, new Map());
}

function wholeNumber(z: Complex): number | undefined {
  const n = Math.round(z.re);
  return isDefined(z) && isReal(z) && Math.abs(z.re - n) <= 4 * z.err ? n : undefined;
}

/** x^{p/q} with odd q is the real root also for negative x, as \sqrt[3]{x}² and x^{2/3} are meant to be the same. */
function evaluatePower(base: Expression, exponent: Expression, inner: (node: Expression) => Complex): Complex {
  const value = inner(base);
  const fraction = literalFraction(exponent);
  if (fraction && isReal(value) && value.re < 0 && fraction.under > 1 && fraction.under % 2 === 1) {
    return complex.power(complex.root(value, fraction.under), fromReal(fraction.over, 0));
  }
  return complex.power(value, inner(exponent));
}

/** The exponent as a fraction of small whole numbers, where it is written as one. */
function literalFraction(node: Expression): { over: number; under: number } | undefined {
  if (node.op === 'negative') {
    const fraction = literalFraction(node.args[0]);
    return fraction && { over: -fraction.over, under: fraction.under };
  }
  if (node.op !== 'quotient') return undefined;
  const [over, under] = node.args;
  if (over.op !== 'number' || under.op !== 'number' || under.value.n === 0n) return undefined;
  const parts = [over.value, under.value].map(({ n, d }) => (d === 1n && n < 1_000_000n ? Number(n) : undefined));
  const [p, q] = parts;
  if (p === undefined || q === undefined) return undefined;
  const reduced = lowestTerms({ n: BigInt(p), d: BigInt(q) }, { used: 0, limit: Infinity });
  return { over: Number(reduced.n), under: Number(reduced.d) };
}

const ELEMENTARY: ReadonlyMap<FunctionName, (z: Complex) => Complex> = new Map([
  ['sin', complex.sin],
  ['cos', complex.cos],
  ['sinh', complex.sinh],
  ['cosh', complex.cosh],
  ['tanh', complex.tanh],
  ['arcsin', complex.arcsin],
  ['arccos', complex.arccos],
  ['arctan', complex.arctan],
  ['arsinh', complex.arsinh],
  ['arcosh', complex.arcosh],
  ['artanh', complex.artanh],
  ['exp', complex.exp],
  ['ln', complex.ln],
]);

function evaluateCall(name: FunctionName, args: readonly Complex[], point: number): Complex {
  const [x = UNDEFINED, y] = args;
  if (args.some((arg) => !isDefined(arg))) return UNDEFINED;
  const elementary = ELEMENTARY.get(name);
  if (elementary) return elementary(x);
  switch (name) {
    case 'gamma':
      return complex.gamma(x);
    case 'tan':
      return complex.divide(complex.sin(x), complex.cos(x));
    case 'cot':
      return complex.divide(complex.cos(x), complex.sin(x));
    case 'sec':
      return complex.invert(complex.cos(x));
    case 'csc':
      return complex.invert(complex.sin(x));
    case 'coth':
      return complex.divide(complex.cosh(x), complex.sinh(x));
    case 'sech':
      return complex.invert(complex.cosh(x));
    case 'csch':
      return complex.invert(complex.sinh(x));
    case 'arccot':
      return complex.add(fromReal(Math.PI / 2), complex.negate(complex.arctan(x)));
    case 'arcsec':
      return complex.arccos(complex.invert(x));
    case 'arccsc':
      return complex.arcsin(complex.invert(x));
    case 'log':
      return y ? complex.divide(complex.ln(x), complex.ln(y)) : complex.ln(x);
    case 'root': {
      const degree = y ? wholeNumber(y) : 2;
      if (degree !== undefined && degree > 0) return complex.root(x, degree);
      return y ? complex.power(x, complex.invert(y)) : UNDEFINED;
    }
    case 'abs':
      return { re: complex.size(x), im: 0, err: x.err, real: x.real };
    case 'Re':
      return { ...x, im: 0 };
    case 'Im':
      return { ...x, re: x.im, im: 0 };
    case 'conj':
      return { ...x, im: -x.im };
    case 'arg':
      return fromReal(Math.atan2(isReal(x) ? 0 : x.im, x.re), x.err / complex.size(x) + Number.EPSILON);
    case 'factorial':
      return factorial(x, 1);
    case 'doublefactorial':
      return wholeNumber(x) === undefined ? UNDEFINED : factorial(x, 2);
    case 'binomial':
      return y ? binomial(x, y) : UNDEFINED;
    case 'f':
      // A function that the answer does not define: a fixed but arbitrary value for each argument.
      return isReal(x) ? fromReal(variable(`f(${x.re.toPrecision(9)})`, point), 0) : UNDEFINED;
    default:
      return args.every(isReal) ? evaluateRealCall(name, args) : UNDEFINED;
  }
}

/** Functions of real numbers only. */
function evaluateRealCall(name: FunctionName, args: readonly Complex[]): Complex {
  const err = Math.max(...args.map((arg) => arg.err));
  const real = args.every((arg) => arg.real);
  const [x = Number.NaN, y = Number.NaN] = args.map((arg) => arg.re);
  const snapped = Math.abs(x - Math.round(x)) <= 4 * err ? Math.round(x) : x;
  switch (name) {
    case 'floor':
      return { re: Math.floor(snapped), im: 0, err: 0, real };
    case 'ceil':
      return { re: Math.ceil(snapped), im: 0, err: 0, real };
    case 'max':
      return { re: Math.max(...args.map((arg) => arg.re)), im: 0, err, real };
    case 'min':
      return { re: Math.min(...args.map((arg) => arg.re)), im: 0, err, real };
    case 'mod':
      return y > 0 ? { re: x - y * Math.floor(x / y + err), im: 0, err, real } : UNDEFINED;
    default:
      return UNDEFINED;
  }
}

/** n (n − step) (n − 2 step) …, by the gamma function between whole numbers. */
function factorial(x: Complex, step: 1 | 2): Complex {
  const n = wholeNumber(x);
  if (n === undefined) return complex.gamma(complex.add(x, fromReal(1, 0)));
  if (n < 0 || n > 170) return UNDEFINED;
  let product = fromReal(1, 0);
  for (let k = n; k > 1; k -= step) product = complex.multiply(product, fromReal(k, 0));
  return product;
}

/** n! / (k! (n − k)!) */
function binomial(n: Complex, k: Complex): Complex {
  const rest = complex.add(n, complex.negate(k));
  return complex.divide(factorial(n, 1), complex.multiply(factorial(k, 1), factorial(rest, 1)));
}
