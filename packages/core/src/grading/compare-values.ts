import type { Budget } from './budget.js';
import { call, contains, type DecimalForm, type Expression, isPlainLog, number, rewrite } from './expression.js';
import { isInteger, toNumber } from './rational.js';
import { createValue, exactOf, realOf, sameValue, type Value, type ValueRule } from './value.js';

/** What decided a comparison of two expressions. */
export type ExpressionRule =
  | ValueRule
  /** A decimal number with many digits is the rounded value of an irrational number or an unending fraction. */
  | 'rounded'
  /** Equal but for the names of arbitrary constants (C and c). */
  | 'constants'
  /** \log without a base means the base 10. */
  | 'log10';

/** Significant digits from which a decimal may stand for the exact value that it rounds; fewer where it trails off in dots. */
const MIN_ROUNDED_DIGITS = 8;
const MIN_TRAILING_DIGITS = 3;

/** Two values as expressions, and the readings that are left where these differ. */
export function matchValues(a: Value, b: Value, budget: Budget): { equal: boolean; rule: ExpressionRule } {
  const plain = sameValue(a, b, budget);
  if (plain.equal) return plain;
  if (isRounded(a, b, budget) || isRounded(b, a, budget)) return { equal: true, rule: 'rounded' };
  if (haveConstants(a, b) && sameValue(withConstants(a), withConstants(b), budget).equal)
    return { equal: true, rule: 'constants' };
  if (a.hasPlainLog || b.hasPlainLog) {
    if (sameValue(inBaseTen(a), inBaseTen(b), budget).equal) return { equal: true, rule: 'log10' };
  }
  return plain;
}

/**
 * Whether `a` is one decimal number, of enough digits, that rounds or truncates the exact value of `b`. A value that
 * can itself be written with those digits must be hit exactly: 100.005 is not 100.
 */
function isRounded(a: Value, b: Value, budget: Budget): boolean {
  const form = decimalForm(a.expression);
  if (!form || form.digits < (form.trailing ? MIN_TRAILING_DIGITS : MIN_ROUNDED_DIGITS)) return false;
  if (decimalForm(b.expression) || b.symbols.size > 0) return false;
  const exact = exactOf(b, budget);
  if (exact) {
    const inTens = form.places > 0 ? { n: exact.n * 10n ** BigInt(form.places), d: exact.d } : exact;
    if (isInteger(inTens)) return false;
  }
  const written = exactOf(a, budget);
  const [x, y] = [written ? toNumber(written) : realOf(a, budget), realOf(b, budget)];
  if (x === undefined || y === undefined) return false;
  const unit = 10 ** -form.places;
  const slack = 8 * Number.EPSILON * Math.abs(y);
  const rounds = Math.abs(x - y) <= unit / 2 + slack;
  const truncates = Math.abs(y) >= Math.abs(x) && Math.abs(x - y) < unit;
  return rounds || truncates;
}

/** The decimal form of −1.25, 1.25 and 1.25·10^{-3}. */
function decimalForm(expression: Expression): DecimalForm | undefined {
  if (expression.op === 'number') return expression.decimal;
  if (expression.op === 'negative') return decimalForm(expression.args[0]);
  const [mantissa, scale, ...rest] = expression.op === 'product' ? expression.args : [];
  if (!mantissa || scale?.op !== 'power' || rest.length > 0) return undefined;
  const [base, exponent] = scale.args;
  const size = exponent.op === 'negative' ? exponent.args[0] : exponent;
  if (base.op !== 'number' || base.value.n !== 10n || size.op !== 'number' || !isInteger(size.value)) return undefined;
  const form = decimalForm(mantissa);
  const shift = Number(size.value.n) * (exponent.op === 'negative' ? -1 : 1);
  return form && Math.abs(shift) < 300 ? { ...form, places: form.places - shift } : undefined;
}

/** Letters that stand for constants of integration: all c's of one answer may be the C's of the other. */
const CONSTANT = /^[cCkKA]$/;

/** Both depend on a variable and on a constant, and the constants are not the same letters. */
function haveConstants(a: Value, b: Value): boolean {
  const constants = (value: Value) => [...value.symbols].filter((name) => CONSTANT.test(name)).sort();
  const [x, y] = [constants(a), constants(b)];
  if (x.length !== 1 || y.length !== 1 || x[0] === y[0]) return false;
  const sameLetter = x[0]?.toLowerCase() === y[0]?.toLowerCase();
  return a.symbols.size > 1 && b.symbols.size > 1 && (sameLetter || (isSolutionOfOde(a) && isSolutionOfOde(b)));
}

/** Ce^{kt} and C + x: an exponential, or the constant standing alone as a term, shows that it is one. */
function isSolutionOfOde({ expression }: Value): boolean {
  const isExponential = (node: Expression) =>
    node.op === 'power' && node.args[0].op === 'constant' && node.args[0].name === 'e';
  const hasLoneConstant = (node: Expression) =>
    node.op === 'sum' && node.args.some((term) => term.op === 'symbol' && CONSTANT.test(term.name));
  return contains(expression, (node) => isExponential(node) || hasLoneConstant(node));
}

function withConstants({ expression }: Value): Value {
  const rename = (node: Expression): Expression =>
    (node.op === 'symbol' || node.op === 'indexed') && CONSTANT.test(node.name) ? { ...node, name: 'C' } : node;
  return createValue(rewrite(expression, rename));
}

function inBaseTen({ expression }: Value): Value {
  const change = (node: Expression): Expression =>
    node.op === 'call' && isPlainLog(node) ? call('log', ...node.args, number(10)) : node;
  return createValue(rewrite(expression, change));
}
