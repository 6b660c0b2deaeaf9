import { type Budget, spend } from './budget.js';
import { type Complex, isDefined, isReal, size } from './complex.js';
import { evaluateExact } from './exact.js';
import {
  canonicalKey,
  contains,
  type Expression,
  isPlainLog,
  negative,
  number,
  rewrite,
  sum,
  symbolsOf,
} from './expression.js';
import { evaluateNumeric, POINTS } from './numeric.js';
import { agreePrecisely } from './precise.js';
import { compareRational, type Rational, toNumber } from './rational.js';
import { evaluateResidue, PRIMES, type Residue } from './residue.js';

/** An expression together with what has been computed of it, so that a list is compared with each value worked out once. */
export interface Value {
  readonly expression: Expression;
  readonly symbols: ReadonlySet<string>;
  /** It has a \log without a base. */
  readonly hasPlainLog: boolean;
  readonly cache: { exact?: Rational | undefined; numeric: Complex[]; residues: (Residue | undefined)[]; key?: string };
}

/** What showed that two values are equal or not. */
export type ValueRule = 'exact' | 'residue' | 'numeric' | 'structure';
export interface ValueVerdict {
  readonly equal: boolean;
  readonly rule: ValueRule;
}

export function createValue(expression: Expression): Value {
  const hasPlainLog = contains(expression, isPlainLog);
  return { expression, symbols: symbolsOf(expression), hasPlainLog, cache: { numeric: [], residues: [] } };
}

/** Points at which remainders are compared, for each prime. */
const RESIDUE_POINTS = 3;
/** Numeric points that must agree; with fewer than this many in the common real domain, complex values are compared. */
const MIN_REAL_POINTS = 3;
/** A value whose error bound is larger than this, relative to max(1, |value|), says nothing. */
const MAX_ERROR = 1e-8;
/** One comparison of values that are worked out already, in steps of the budget. */
const COMPARISON_STEPS = 5;
/** Safety factor on the first-order error bounds. */
const ERROR_MARGIN = 4;

/**
 * Whether two expressions are the same for all values of their variables: by exact fractions where both are rational
 * numbers, else by remainders modulo primes where both are rational expressions, else numerically at fixed
 * pseudo-random points, else (numbers too large for all of these) by their written form.
 */
export function sameValue(a: Value, b: Value, budget: Budget): ValueVerdict {
  spend(budget, COMPARISON_STEPS);
  const [exactA, exactB] = [exactOf(a, budget), exactOf(b, budget)];
  if (exactA && exactB) {
    const order = compareRational(exactA, exactB, budget);
    if (order !== undefined) return { equal: order === 0, rule: 'exact' };
  }
  const residue = compareResidues(a, b, budget);
  if (residue !== undefined) return { equal: residue, rule: 'residue' };
  const numeric = compareNumeric(a, b, budget);
  if (numeric !== undefined) {
    const closer = numeric && isConstant(a, b) ? agreePrecisely(a.expression, b.expression, budget) : undefined;
    return { equal: closer ?? numeric, rule: 'numeric' };
  }
  return { equal: keyOf(a) === keyOf(b), rule: 'structure' };
}

export function exactOf(value: Value, budget: Budget): Rational | undefined {
  if (!('exact' in value.cache)) {
    value.cache.exact = value.symbols.size === 0 ? evaluateExact(value.expression, budget) : undefined;
  }
  return value.cache.exact;
}

/** The value as a real double where it is a real constant. */
export function realOf(value: Value, budget: Budget): number | undefined {
  if (value.symbols.size > 0) return undefined;
  const exact = exactOf(value, budget);
  if (exact) return toNumber(exact);
  const z = numericOf(value, 0, budget);
  return isDefined(z) && isReal(z) ? z.re : undefined;
}

/** The sign c/|c| where a = c·b for one constant c ≠ 0, else undefined: x − 1 = 0 and 2x = 2 say the same. */
export function proportion(a: Value, b: Value, budget: Budget): 1 | -1 | undefined {
  if (areProportionalResidues(a, b, budget) === false) return undefined;
  let ratio: number | undefined;
  let points = 0;
  for (const { x, y } of accuratePoints(a, b, budget)) {
    if (!x.real || !y.real) continue;
    if (!isReal(x) || !isReal(y)) return undefined;
    points++;
    const [zeroX, zeroY] = [Math.abs(x.re) <= ERROR_MARGIN * x.err, Math.abs(y.re) <= ERROR_MARGIN * y.err];
    if (zeroX !== zeroY) return undefined;
    if (zeroX) continue;
    ratio ??= x.re / y.re;
    const slack = ERROR_MARGIN * (x.err + Math.abs(ratio) * y.err + 2 * Number.EPSILON * Math.abs(x.re));
    if (Math.abs(x.re - ratio * y.re) > 4 * slack) return undefined;
  }
  if (ratio === undefined || points < MIN_REAL_POINTS) return undefined;
  return ratio > 0 ? 1 : -1;
}

/** x − 25169639 and x − 25169640 are proportional for all that doubles can see, but not modulo a prime. */
function areProportionalResidues(a: Value, b: Value, budget: Budget): boolean | undefined {
  const [x0, y0] = [residueOf(a, 0, budget)?.value, residueOf(b, 0, budget)?.value];
  if (x0 === undefined || y0 === undefined) return undefined;
  for (let at = 1; at < RESIDUE_POINTS; at++) {
    const [x, y] = [residueOf(a, at, budget)?.value, residueOf(b, at, budget)?.value];
    if (x === undefined || y === undefined) return undefined;
    if ((x * y0 - y * x0) % PRIMES[0] !== 0n) return false;
  }
  return true;
}

/** Whether an equation `difference` = 0 has x = `solution` as its only solution: zero there, and linear in x. */
export function isSolvedBy(difference: Value, name: string, solution: Expression, budget: Budget): boolean {
  if (!difference.symbols.has(name) || symbolsOf(solution).has(name)) return false;
  const at = (offset: number) => substitute(difference.expression, name, sum(solution, number(offset)));
  const isZero = (expression: Expression) => {
    const { equal, rule } = sameValue(createValue(expression), createValue(number(0)), budget);
    return equal && rule !== 'structure';
  };
  if (!isZero(at(0)) || isZero(at(1))) return false;
  return isZero(sum(at(2), negative(at(1)), negative(at(1))));
}

/** The expression with a variable replaced by another expression. */
export function substitute(expression: Expression, name: string, replacement: Expression): Expression {
  return rewrite(expression, (node) => (node.op === 'symbol' && node.name === name ? replacement : node));
}

function keyOf(value: Value): string {
  value.cache.key ??= canonicalKey(value.expression);
  return value.cache.key;
}

function numericOf(value: Value, point: number, budget: Budget): Complex {
  const at = value.symbols.size === 0 ? 0 : point;
  value.cache.numeric[at] ??= evaluateNumeric(value.expression, at, budget);
  return value.cache.numeric[at];
}

/** Undefined where one of them is no rational expression, has no value at a point, or equal residues prove nothing. */
function compareResidues(a: Value, b: Value, budget: Budget): boolean | undefined {
  let conclusive = true;
  for (let at = 0; at < RESIDUE_POINTS * PRIMES.length; at++) {
    const [x, y] = [residueOf(a, at, budget), residueOf(b, at, budget)];
    if (x === undefined || y === undefined) return undefined;
    if (x.value !== y.value) return false;
    conclusive &&= x.conclusive && y.conclusive;
  }
  return conclusive || undefined;
}

function residueOf(value: Value, at: number, budget: Budget): Residue | undefined {
  if (!(at in value.cache.residues)) {
    const where = { prime: at < RESIDUE_POINTS ? 0 : 1, point: at % RESIDUE_POINTS } as const;
    value.cache.residues[at] = evaluateResidue(value.expression, where, budget);
  }
  return value.cache.residues[at];
}

/**
 * Where both stay in the reals at enough points, these decide: ln x² and 2 ln x are the same where both are defined.
 * Elsewhere the complex values do. Undefined where too few points are accurate.
 */
function compareNumeric(a: Value, b: Value, budget: Budget): boolean | undefined {
  const enough = isConstant(a, b) ? 1 : MIN_REAL_POINTS;
  let [realPoints, points, agreeing] = [0, 0, 0];
  for (const { x, y } of accuratePoints(a, b, budget)) {
    const isEqual = agree(x, y);
    const isRealPoint = x.real && y.real;
    if (isRealPoint && !isEqual) return false;
    points++;
    if (isRealPoint) realPoints++;
    if (isEqual) agreeing++;
  }
  if (realPoints >= enough) return true;
  return points >= enough ? agreeing === points : undefined;
}

/** The values at all points at which both are accurate. */
function* accuratePoints(a: Value, b: Value, budget: Budget): Generator<{ x: Complex; y: Complex }> {
  const count = isConstant(a, b) ? 1 : POINTS;
  for (let point = 0; point < count; point++) {
    spend(budget, 1);
    const x = numericOf(a, point, budget);
    if (!isAccurate(x)) continue;
    const y = numericOf(b, point, budget);
    if (isAccurate(y)) yield { x, y };
  }
}

const isConstant = (a: Value, b: Value): boolean => a.symbols.size === 0 && b.symbols.size === 0;

function isAccurate(z: Complex): boolean {
  return isDefined(z) && z.err <= MAX_ERROR * Math.max(1, size(z));
}

function agree(x: Complex, y: Complex): boolean {
  return Math.hypot(x.re - y.re, x.im - y.im) <= ERROR_MARGIN * (x.err + y.err) + Number.MIN_VALUE;
}
