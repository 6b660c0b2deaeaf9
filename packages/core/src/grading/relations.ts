import type { Answer, Endpoint, Equation, Inequality, Interval } from './answer.js';
import { evaluateExact } from './exact.js';
import { difference, type Expression, negative, number, symbolsOf } from './expression.js';
import type { Token } from './lex.js';
import { nameOf } from './names.js';
import { isInfinity } from './phrases.js';
import { add, invert, multiply, negate, type Rational, sign } from './rational.js';
import type { Reader } from './reader.js';
import { createRegion, REALS, withoutPoints } from './region.js';
import { isEquality, isOp, isOrder, split } from './tokens.js';
import { createValue, substitute } from './value.js';

/** Equations, memberships and inequalities; undefined where no relation stands outside brackets. */
export function readRelation(tokens: readonly Token[], reader: Reader): Answer | undefined {
  const relations: Token[] = [];
  const isRelation = (token: Token) => isEquality(token) || isOrder(token) || isOp(token, '!=') || isOp(token, '∈');
  const sides = split(tokens, (token) => isRelation(token) && relations.push(token) > 0);
  const [relation] = relations;
  if (!relation) return undefined;
  if (relations.some((token) => isOp(token, '∈'))) return readMembership(sides, reader);
  if (relations.every(isEquality)) return readEquation(sides, relations, reader);
  if (relations.every(isOrder)) {
    const signs = relations.map(({ text }) => text);
    return readBounds(sides, signs, reader) ?? readInequalities(sides, signs, reader);
  }
  return relations.length === 1 ? readUnequal(sides, reader) : undefined;
}

function readMembership(sides: readonly Token[][], reader: Reader): Answer {
  const set = reader.readItem(sides.at(-1) ?? []);
  const name = nameOf(sides[0] ?? []);
  return set.kind === 'region' ? { ...set, variable: name } : equation(sides, set, reader);
}

function readEquation(allSides: readonly Token[][], relations: readonly Token[], reader: Reader): Answer {
  // √2 ≈ 1.414: the rounded value adds nothing to the exact one before it.
  const exactSides = allSides
    .slice(0, 1 + relations.findIndex(({ text }) => text === '≈'))
    .filter(({ length }) => length > 0);
  const isExact = exactSides.length > 0 && nameOf(exactSides.at(-1) ?? []) === undefined;
  const sides = isExact ? exactSides : allSides.filter(({ length }) => length > 0);
  const [first = [], second = []] = sides;
  if (sides.length < 2) return reader.readItem(first);
  // "5 = x" names x as "x = 5" does.
  const turned = sides.length === 2 && nameOf(first) === undefined && isVariableName(second, reader);
  const ordered = turned ? [second, first] : sides;
  return equation(ordered, reader.readItem(ordered.at(-1) ?? []), reader);
}

function equation(sides: readonly Token[][], value: Answer, { parse }: Reader): Equation {
  const [first = [], second = []] = sides;
  const [left, right] = sides.length === 2 ? [parse(first), parse(second)] : [];
  return {
    kind: 'equation',
    name: nameOf(first),
    symbol: left?.op === 'symbol' ? left.name : undefined,
    value,
    difference: left && right ? createValue(difference(left, right)) : undefined,
    // 3·4 = 12 is a calculation as z = 3·4 = 12 is one.
    chain: sides.length > 2 || isCalculation(first) || (left && right ? isConstant(left) && isConstant(right) : false),
  };
}

/** A name that is no constant: "… = e" is a result. */
function isVariableName(tokens: readonly Token[], { parse }: Reader): boolean {
  return nameOf(tokens) !== undefined && parse(tokens)?.op !== 'constant';
}

/** \lim …, \int …, \sum …: what they come to is on the other side. */
const isCalculation = ([first]: readonly Token[]): boolean =>
  first?.type === 'command' && /^(?:lim|int|sum|prod)$/.test(first.text);

const isConstant = (expression: Expression): boolean => symbolsOf(expression).size === 0;

/** a < x ≤ b, x > a and a ≤ |x| < b as parts of the real line. */
function readBounds(sides: readonly Token[][], signs: readonly string[], reader: Reader): Answer | undefined {
  if (sides.length > 3) return undefined;
  const middle = sides.length === 3 ? 1 : sides.findIndex((side) => variableOf(side, reader) !== undefined);
  const bounded = variableOf(sides[middle] ?? [], reader);
  if (!bounded) return undefined;
  let interval: Interval = REALS;
  for (const [at, relation] of signs.entries()) {
    const boundBefore = at < middle;
    const end = readEndpoint(sides[boundBefore ? at : at + 1] ?? [], reader);
    if (end === undefined) return undefined;
    // x > a bounds x no more than a.
    if (sides.length === 2 && typeof end !== 'string' && end.symbols.size > 0) return undefined;
    const closed = relation.includes('=');
    const isLow = relation.startsWith('<') === boundBefore;
    interval = isLow ? { ...interval, low: end, lowClosed: closed } : { ...interval, high: end, highClosed: closed };
  }
  const intervals = bounded.absolute ? mirrored(interval) : [interval];
  return createRegion(bounded.name, intervals, reader.budget);
}

/** The values of x for which |x| lies in an interval. */
function mirrored(interval: Interval): Interval[] {
  const { low, high, lowClosed, highClosed } = interval;
  const opposite = (end: Endpoint): Endpoint =>
    end === '+∞' ? '-∞' : end === '-∞' ? '+∞' : createValue(negative(end.expression));
  const mirror: Interval = { low: opposite(high), lowClosed: highClosed, high: opposite(low), highClosed: lowClosed };
  return low === '-∞' ? [{ ...mirror, high, highClosed }] : [mirror, interval];
}

/** The variable that a side is, or is the absolute value of. */
function variableOf(side: readonly Token[], { parse }: Reader): { name: string; absolute: boolean } | undefined {
  const absolute = isOp(side[0], '|') && isOp(side.at(-1), '|');
  const bare = absolute ? side.slice(1, -1) : side;
  const expression = bare.length > 0 ? parse(bare) : undefined;
  const isVariable = expression?.op === 'symbol' || expression?.op === 'indexed';
  return isVariable ? { name: nameOf(bare) ?? expression.name, absolute } : undefined;
}

function readInequalities(sides: readonly Token[][], signs: readonly string[], reader: Reader): Answer | undefined {
  const values = sides.map(reader.parse);
  const parts: Inequality[] = [];
  for (const [at, relation] of signs.entries()) {
    const [left, right] = [values[at], values[at + 1]];
    if (!left || !right) return undefined;
    const greater = relation.startsWith('>') ? difference(left, right) : difference(right, left);
    parts.push({ difference: createValue(greater), relation: relation.includes('=') ? '>=' : '>' });
  }
  const [only, ...others] = parts;
  return (only && others.length === 0 && solveLinear(only, reader)) || { kind: 'inequalities', parts };
}

/** 2x + 1 > 7 as x > 3: the difference is linear in its one variable, with rational coefficients. */
function solveLinear(
  { difference: { expression, symbols }, relation }: Inequality,
  reader: Reader,
): Answer | undefined {
  const { budget } = reader;
  const [name, ...others] = symbols;
  if (name === undefined || others.length > 0) return undefined;
  const at = (x: number): Rational | undefined => evaluateExact(substitute(expression, name, number(x)), budget);
  const [constant, one, two] = [at(0), at(1), at(2)];
  const slope = constant && one && add(one, negate(constant), budget);
  const nextSlope = one && two && add(two, negate(one), budget);
  const bend = slope && nextSlope && add(nextSlope, negate(slope), budget);
  if (!constant || !slope || !bend || sign(bend) !== 0 || sign(slope) === 0) return undefined;
  const inverse = invert(slope);
  const bound = inverse && multiply(negate(constant), inverse, budget);
  // Linear at three points is not enough for x³ − 3x² + 3x, which is x at 0, 1 and 2.
  const probe = bound && at(1000);
  const expected = add(constant, { n: slope.n * 1000n, d: slope.d }, budget);
  if (!bound || !probe || !expected || sign(add(probe, negate(expected), budget) ?? { n: 1n, d: 1n }) !== 0)
    return undefined;
  const end = createValue({ op: 'number', value: bound });
  const closed = relation === '>=';
  const interval: Interval =
    sign(slope) > 0 ? { ...REALS, low: end, lowClosed: closed } : { ...REALS, high: end, highClosed: closed };
  return createRegion(name, [interval], budget);
}

/** x ≠ 2 */
function readUnequal(sides: readonly Token[][], reader: Reader): Answer | undefined {
  const [left = [], right = []] = sides;
  const variable = variableOf(left, reader);
  const point = readEndpoint(right, reader);
  const isPoint = point !== undefined && typeof point !== 'string' && point.symbols.size === 0;
  if (variable && !variable.absolute && isPoint) {
    return withoutPoints(createRegion(variable.name, [REALS], reader.budget), [point], reader.budget);
  }
  const [a, b]: (Expression | undefined)[] = [reader.parse(left), reader.parse(right)];
  if (!a || !b) return undefined;
  return { kind: 'inequalities', parts: [{ difference: createValue(difference(a, b)), relation: '!=' }] };
}

/** A number, ∞ or −∞. */
export function readEndpoint(tokens: readonly Token[], { parseValue }: Reader): Endpoint | undefined {
  const signed = isOp(tokens[0], '-') || isOp(tokens[0], '+') ? tokens.slice(1) : tokens;
  if (signed.length === 1 && isInfinity(signed[0])) return isOp(tokens[0], '-') ? '-∞' : '+∞';
  return tokens.length > 0 ? parseValue(tokens) : undefined;
}
