import type { Token } from './lex.js';
import { closingToken } from './tokens.js';

/** Functions that may stand before a name: \sin A = \frac{3}{5} names a value as f(3) = 12 does. */
const FUNCTIONS_OF_NAMES = new Set([
  'sin',
  'cos',
  'tan',
  'cot',
  'sec',
  'csc',
  'max',
  'min',
  'arg',
  'det',
  'dim',
  'deg',
]);
const PREFIXES = new Set(['angle', 'measuredangle', 'triangle', 'square', 'partial', 'Delta']);
const ACCENTS = new Set([
  ...['overline', 'bar', 'hat', 'widehat', 'vec', 'tilde', 'dot', 'overrightarrow', 'overleftrightarrow', 'ddot'],
]);
const NOT_NAMES = new Set(['frac', 'sqrt', 'binom', 'sum', 'prod', 'int', 'lim', 'ln', 'log', 'exp', 'begin', 'end']);

/**
 * The name that the left side of "name = value" gives, or undefined where it is a real expression: x, x_1, \theta,
 * m_{\max}, AB, \angle ABC, \overline{AB}, |AB|, P(A), f(3), (p,q), \frac{NO}{BO}, a:b, \text{Area}; but not 2x, xy,
 * x+y, x^2.
 */
export function nameOf(tokens: readonly Token[]): string | undefined {
  if (tokens.length === 0) return undefined;
  const end = readNames(tokens, 0);
  if (end !== tokens.length) return undefined;
  return tokens
    .filter(({ text }) => text !== '{' && text !== '}')
    .map(({ text }) => text)
    .join(' ');
}

/** Names joined by / or :, or -1. */
function readNames(tokens: readonly Token[], start: number): number {
  let at = readName(tokens, start);
  while (at > start && (tokens[at]?.text === '/' || tokens[at]?.text === ':')) at = readName(tokens, at + 1);
  return at;
}

/** Index after the name that starts at `start`, or -1. */
function readName(tokens: readonly Token[], start: number): number {
  const token = tokens[start];
  if (!token) return -1;
  if (token.type === 'open' && token.text === '(') return isTupleOfNames(tokens, start) ? after(tokens, start) : -1;
  if (token.text === '|') {
    const inner = tokens[start + 1];
    return inner && /^[A-Z]{2,}$/.test(inner.text) && tokens[start + 2]?.text === '|' ? start + 3 : -1;
  }
  if (token.type === 'command') {
    if (token.text === 'frac') {
      const over = tokens[start + 1]?.text === '{' ? after(tokens, start + 1) : -1;
      if (over < 0 || tokens[over]?.text !== '{') return -1;
      const under = after(tokens, over);
      const inside = (from: number, to: number) => isFractionPart(tokens.slice(from + 1, to - 1));
      return inside(start + 1, over) && inside(over, under) ? under : -1;
    }
    if (ACCENTS.has(token.text)) return suffix(tokens, argumentEnd(tokens, start + 1));
    if (PREFIXES.has(token.text)) {
      const next = tokens[start + 1];
      if (next?.type === 'letters' || next?.type === 'command') return suffix(tokens, start + 2);
      return token.text === 'Delta' ? suffix(tokens, start + 1) : -1;
    }
    if (FUNCTIONS_OF_NAMES.has(token.text)) {
      let at = start + 1;
      if (tokens[at]?.text === '(') return after(tokens, at);
      while (PREFIXES.has(tokens[at]?.text ?? '')) at++;
      return readName(tokens, at);
    }
    return NOT_NAMES.has(token.text) ? -1 : suffix(tokens, start + 1);
  }
  if (token.type === 'word') {
    let at = start;
    while (tokens[at]?.type === 'word') at++;
    return suffix(tokens, at);
  }
  // m\angle A
  if (token.text === 'm' && PREFIXES.has(tokens[start + 1]?.text ?? '')) return readName(tokens, start + 1);
  // One letter, a run of capitals (a segment, an abbreviation), or a word; "xy" and "abc" are products.
  const isName = token.type === 'letters' && /^(?:.|[A-Z]{2,}|[A-Z]?[a-z]{3,}[A-Za-z]*|m[A-Z]+)$/u.test(token.text);
  return isName && !/^[a-z]{3}$/.test(token.text) ? suffix(tokens, start + 1) : -1;
}

/** Primes, a subscript and an argument list after a name. */
function suffix(tokens: readonly Token[], start: number): number {
  let at = start;
  if (at < 0) return -1;
  while (tokens[at]?.text === "'") at++;
  if (tokens[at]?.text === '_') at = argumentEnd(tokens, at + 1);
  while (tokens[at]?.text === "'") at++;
  // f^{-1}(x), f^{(n)}(x)
  if (tokens[at]?.text === '^' && tokens[argumentEnd(tokens, at + 1)]?.text === '(') at = argumentEnd(tokens, at + 1);
  return tokens[at]?.text === '(' ? after(tokens, at) : at;
}

/** \frac{dy}{dx}, \frac{NO}{BO}, \frac{a}{b} */
function isFractionPart(tokens: readonly Token[]): boolean {
  const [only] = tokens;
  const derivative = tokens.every(({ text, type }) => type === 'letters' && /^d[a-z]$/.test(text));
  return derivative || (only !== undefined && readNames(tokens, 0) === tokens.length);
}

/** (p,q), and (,n) where stripping took a name away; also (x), what is left of f(x). */
function isTupleOfNames(tokens: readonly Token[], open: number): boolean {
  const inside = tokens.slice(open + 1, after(tokens, open) - 1);
  let at = 0;
  for (;;) {
    if (inside[at] && inside[at]?.text !== ',') at = readName(inside, at);
    if (at < 0) return false;
    if (at >= inside.length) return true;
    if (inside[at]?.text !== ',') return false;
    at++;
  }
}

/** Index after the group or the single token at `start`. */
function argumentEnd(tokens: readonly Token[], start: number): number {
  return tokens[start]?.type === 'open' ? after(tokens, start) : start + 1;
}

function after(tokens: readonly Token[], open: number): number {
  const close = closingToken(tokens, open);
  return close < 0 ? tokens.length : close + 1;
}
