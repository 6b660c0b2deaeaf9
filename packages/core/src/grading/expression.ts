import type { Rational } from './rational.js';

/** Functions that the evaluators know. `f` is any function that an answer uses without defining it. */
export const FUNCTION_NAMES = [
  ...['sin', 'cos', 'tan', 'cot', 'sec', 'csc', 'sinh', 'cosh', 'tanh', 'coth', 'sech', 'csch'],
  ...['arcsin', 'arccos', 'arctan', 'arccot', 'arcsec', 'arccsc', 'arsinh', 'arcosh', 'artanh'],
  ...['ln', 'log', 'exp', 'root', 'abs', 'floor', 'ceil', 'max', 'min', 'gcd', 'lcm', 'mod'],
  ...['factorial', 'doublefactorial', 'binomial', 'gamma', 'Re', 'Im', 'arg', 'conj', 'f'],
] as const;
export type FunctionName = (typeof FUNCTION_NAMES)[number];

/** How a decimal number was written, which says how closely a rounded value can be held to it. */
export interface DecimalForm {
  /** Significant digits as written. */
  readonly digits: number;
  /** Digits after the point. */
  readonly places: number;
  /** Written with dots after the last digit: 0.333… */
  readonly trailing: boolean;
}

export type Expression =
  | { readonly op: 'number'; readonly value: Rational; readonly decimal?: DecimalForm }
  | { readonly op: 'constant'; readonly name: 'pi' | 'e' | 'i' }
  | { readonly op: 'symbol'; readonly name: string }
  /** A symbol whose subscript may hold variables: F_{n-1}. */
  | { readonly op: 'indexed'; readonly name: string; readonly index: Expression }
  | { readonly op: 'sum' | 'product'; readonly args: readonly Expression[] }
  | { readonly op: 'negative'; readonly args: readonly [Expression] }
  /** [numerator, denominator] and [base, exponent]. */
  | { readonly op: 'quotient' | 'power'; readonly args: readonly [Expression, Expression] }
  | { readonly op: 'call'; readonly name: FunctionName; readonly args: readonly Expression[] }
  /** Σ or Π of `body` for whole `index` from `from` to `to`. */
  | {
      readonly op: 'series';
      readonly kind: 'sum' | 'product';
      readonly index: string;
      readonly from: Expression;
      readonly to: Expression;
      readonly body: Expression;
    };

export const number = (n: bigint | number): Expression => ({ op: 'number', value: { n: BigInt(n), d: 1n } });
export const sum = (...args: Expression[]): Expression => ({ op: 'sum', args });
export const product = (...args: Expression[]): Expression => ({ op: 'product', args });
export const negative = (arg: Expression): Expression => ({ op: 'negative', args: [arg] });
export const quotient = (over: Expression, under: Expression): Expression => ({ op: 'quotient', args: [over, under] });
export const power = (base: Expression, exponent: Expression): Expression => ({ op: 'power', args: [base, exponent] });
export const call = (name: FunctionName, ...args: Expression[]): Expression => ({ op: 'call', name, args });
export const difference = (a: Expression, b: Expression): Expression => sum(a, negative(b));

/** \log x with no base: the natural one, or ten. */
export const isPlainLog = (node: Expression): boolean =>
  node.op === 'call' && node.name === 'log' && node.args.length === 1;

/** The direct parts of an expression, in order. */
function parts(expression: Expression): readonly Expression[] {
  switch (expression.op) {
    case 'number':
    case 'constant':
    case 'symbol':
      return [];
    case 'indexed':
      return [expression.index];
    case 'series':
      return [expression.from, expression.to, expression.body];
    default:
      return expression.args;
  }
}

/** The expression rebuilt from the leaves up, each node passed through `change`. */
export function rewrite(expression: Expression, change: (node: Expression) => Expression): Expression {
  const inner = (node: Expression) => rewrite(node, change);
  switch (expression.op) {
    case 'number':
    case 'constant':
    case 'symbol':
      return change(expression);
    case 'indexed':
      return change({ ...expression, index: inner(expression.index) });
    case 'series':
      return change({
        ...expression,
        from: inner(expression.from),
        to: inner(expression.to),
        body: inner(expression.body),
      });
    case 'negative':
      return change(negative(inner(expression.args[0])));
    case 'quotient':
    case 'power':
      return change({ op: expression.op, args: [inner(expression.args[0]), inner(expression.args[1])] });
    default:
      return change({ ...expression, args: expression.args.map(inner) });
  }
}

/** Names of the variables that an expression depends on; `x_1` counts as `x`. */
export function symbolsOf(expression: Expression): Set<string> {
  const names = new Set(parts(expression).flatMap((part) => [...symbolsOf(part)]));
  if (expression.op === 'symbol' || expression.op === 'indexed') names.add(expression.name);
  // The index of a sum is bound by it.
  if (expression.op === 'series') names.delete(expression.index);
  return names;
}

/** Whether a part of the expression, or the whole, is of some kind. */
export function contains(expression: Expression, matches: (node: Expression) => boolean): boolean {
  return matches(expression) || parts(expression).some((part) => contains(part, matches));
}

/** A text that is equal for expressions that differ only in the order of terms and factors. */
export function canonicalKey(expression: Expression): string {
  const inner = parts(expression).map(canonicalKey);
  switch (expression.op) {
    case 'number':
      return `${expression.value.n}/${expression.value.d}`;
    case 'constant':
    case 'symbol':
      return expression.name;
    case 'indexed':
      return `${expression.name}_[${inner}]`;
    case 'sum':
    case 'product':
      return `${expression.op}(${inner.sort()})`;
    case 'call':
      return `${expression.name}(${inner})`;
    case 'series':
      return `${expression.kind}:${expression.index}(${inner})`;
    default:
      return `${expression.op}(${inner})`;
  }
}
