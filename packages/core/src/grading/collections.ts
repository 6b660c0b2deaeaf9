import type { Answer, Endpoint, Interval } from './answer.js';
import type { Token } from './lex.js';
import { isInfinity } from './phrases.js';
import type { Reader } from './reader.js';
import { createRegion, REALS, withoutPoints } from './region.js';
import { readEndpoint } from './relations.js';
import { enclosed, indexAtTop, isComma, isEquality, isOp, split } from './tokens.js';

const isSeparator = (token: Token): boolean => isOp(token, ',') || isOp(token, ';');

/** Tuples, intervals, sets and vectors: whatever one pair of brackets encloses, or several pairs side by side. */
export function readBrackets(tokens: readonly Token[], reader: Reader): Answer | undefined {
  const [opening, closing] = [tokens[0]?.text, tokens.at(-1)?.text];
  // French open ends: ]1,2[
  if (opening === ']' || (opening === '[' && closing === '[')) {
    return readInterval(tokens.slice(1, -1), { lowClosed: opening === '[', highClosed: closing === ']' }, reader);
  }
  const inside = enclosed(tokens);
  if (!inside) return readPoint(tokens, reader) ?? readBracketSequence(tokens, reader);
  if (opening === 'lbrace') return readSet(inside, reader);
  if (opening === '{') return reader.readWhole(inside);
  const items = split(inside, isSeparator).filter((item) => item.length > 0);
  if (items.length < 2) {
    // Brackets around something that is more than an expression: ((1,2)), (x = 5).
    const isMore = inside.some((token) => isOp(token, ',') || isEquality(token));
    return isMore ? reader.readItem(inside) : undefined;
  }
  // [[1,2],[3,4]]
  if (opening === '[' && items.every((item) => item[0]?.text === '[' && enclosed(item))) {
    return { kind: 'matrix', rows: items.map((row) => split(row.slice(1, -1), isSeparator).map(reader.readItem)) };
  }
  if (items.length === 2 && (opening === '[' || closing === ']')) {
    return readInterval(inside, { lowClosed: opening === '[', highClosed: closing === ']' }, reader);
  }
  if (opening !== '(' && opening !== '[' && opening !== 'langle') return undefined;
  return { kind: 'tuple', bracket: opening, items: items.map(reader.readElement) };
}

/** A(1,2) and "the point (1,2)" name a pair as A = (1,2) does. */
function readPoint(tokens: readonly Token[], { readItem }: Reader): Answer | undefined {
  const open = tokens.findIndex(({ type }) => type === 'open');
  const name = tokens.slice(0, open);
  const isName =
    name.every(({ type }) => type === 'word') || (name.length === 1 && /^[A-Z]$/.test(name[0]?.text ?? ''));
  if (open < 1 || !isName || tokens[open]?.text !== '(' || !enclosed(tokens.slice(open))) return undefined;
  const point = readItem(tokens.slice(open));
  return point.kind === 'tuple' ? point : undefined;
}

function readInterval(
  inside: readonly Token[],
  { lowClosed, highClosed }: { lowClosed: boolean; highClosed: boolean },
  reader: Reader,
): Answer | undefined {
  const [low, high, ...rest] = split(inside, isSeparator).map((end) => readEndpoint(end, reader));
  if (low === undefined || high === undefined || rest.length > 0) return undefined;
  return createRegion(undefined, [{ low, high, lowClosed, highClosed }], reader.budget);
}

/** (25,9)(9,25): brackets side by side, each with a comma in it. */
function readBracketSequence(tokens: readonly Token[], { readItem }: Reader): Answer | undefined {
  const groups: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (depth === 0 && token.type !== 'open') return undefined;
    depth += token.type === 'open' ? 1 : token.type === 'close' ? -1 : 0;
    groups.at(-1)?.push(token);
    if (depth === 0) groups.push([]);
  }
  const pairs = groups.filter((group) => group.length > 0);
  if (pairs.length < 2 || !pairs.every((group) => group.some((token) => isOp(token, ',')))) return undefined;
  const items = pairs.map(readItem);
  return items.every(({ kind }) => kind === 'tuple') ? { kind: 'list', items } : undefined;
}

/** \{1,2\}, \{x \mid x > 2\} and \{x ∈ ℝ : 1 < x < 3\}. */
function readSet(inside: readonly Token[], reader: Reader): Answer {
  const bar = indexAtTop(inside, (token) => isOp(token, '|') || isOp(token, ':'));
  if (bar > 0) {
    const condition = reader.readWhole(inside.slice(bar + 1));
    if (condition.kind === 'region' || condition.kind === 'inequalities') return condition;
  }
  const parts = split(inside, (token) => isComma(token) || isOp(token, ';')).filter((part) => part.length > 0);
  const items = parts.map(reader.readElement);
  return { kind: 'set', items: items.flatMap((item) => (item.kind === 'list' ? item.items : [item])) };
}

/** (−∞,1) ∪ [2,3], also with the letter U, and ℝ ∖ {2}. */
export function readUnion(tokens: readonly Token[], reader: Reader): Answer | undefined {
  const { budget, readItem } = reader;
  const isCup = (token: Token, at: number) =>
    isOp(token, '∪') || (/^[Uu]$/.test(token.text) && tokens[at - 1]?.type === 'close');
  const parts = split(tokens, isCup);
  if (parts.length > 1) {
    if (parts.some((part) => part.length === 0)) return undefined;
    const pieces = parts.map(readItem);
    const intervals = pieces.map(intervalsOf);
    if (pieces.every((piece) => piece.kind === 'set')) {
      return { kind: 'set', items: pieces.flatMap(({ items }) => items) };
    }
    const areAll = intervals.every((interval) => interval !== undefined);
    return areAll ? createRegion(undefined, intervals.flat(), budget) : undefined;
  }
  const [from = [], taken, ...more] = split(tokens, (token) => isOp(token, '∖') || isOp(token, '-'));
  const isSet = taken?.[0]?.text === 'lbrace' && more.length === 0 && from.length > 0;
  const region = isSet ? readItem(from) : undefined;
  if (!taken || region?.kind !== 'region') return undefined;
  const removed = readItem(taken);
  const points = removed.kind === 'set' ? pointsOf(removed.items) : undefined;
  return points && withoutPoints(region, points, budget);
}

/** ∞, −∞, ∅, ℝ */
export function readSymbolAnswer(tokens: readonly Token[], reader: Reader): Answer | undefined {
  const last = tokens.at(-1);
  const sign = tokens.length === 2 ? tokens[0] : undefined;
  if (tokens.length > 2 || (tokens.length === 2 && !isOp(sign, '-') && !isOp(sign, '+'))) return undefined;
  if (isInfinity(last)) return { kind: 'infinity', negative: isOp(sign, '-') };
  if (sign) return undefined;
  if (isOp(last, '∅')) return { kind: 'set', items: [] };
  return last?.text === 'mathbb R' ? createRegion(undefined, [REALS], reader.budget) : undefined;
}

/** The intervals of a region, an open interval written as a pair, or a set of points. */
export function intervalsOf(answer: Answer): readonly Interval[] | undefined {
  if (answer.kind === 'region') return answer.intervals;
  if (answer.kind === 'tuple') {
    const interval = openInterval(answer);
    return interval && [interval];
  }
  if (answer.kind === 'set') {
    return pointsOf(answer.items)?.map((point) => ({ low: point, high: point, lowClosed: true, highClosed: true }));
  }
  if (answer.kind !== 'list') return undefined;
  const pieces = answer.items.map(intervalsOf);
  return pieces.every((piece) => piece !== undefined) ? pieces.flat() : undefined;
}

function pointsOf(items: readonly Answer[]): Endpoint[] | undefined {
  const points = items.map(endpointOf);
  return points.every((point) => point !== undefined) ? points : undefined;
}

/** A pair in round brackets read as an open interval, where its ends can be ends. */
function openInterval(answer: Answer): Interval | undefined {
  if (answer.kind !== 'tuple' || answer.bracket !== '(' || answer.items.length !== 2) return undefined;
  const [low, high] = answer.items.map(endpointOf);
  return low === undefined || high === undefined ? undefined : { low, high, lowClosed: false, highClosed: false };
}

function endpointOf(item: Answer): Endpoint | undefined {
  if (item.kind === 'infinity') return item.negative ? '-∞' : '+∞';
  if (item.kind === 'choice') return item.content && endpointOf(item.content);
  return item.kind === 'quantity' && !item.unit ? item.value : undefined;
}
