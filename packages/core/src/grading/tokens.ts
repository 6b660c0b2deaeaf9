import type { Token } from './lex.js';

/** Index of the brace that closes the one at `open` of a text, or −1. */
export function closingBrace(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return at;
  }
  return -1;
}

/** Index of the bracket that closes the one at `open`, whatever their kinds (intervals mix them), or −1. */
export function closingToken(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at++) {
    if (tokens[at]?.type === 'open') depth++;
    else if (tokens[at]?.type === 'close' && --depth === 0) return at;
  }
  return -1;
}

export const isOp = (token: Token | undefined, text: string): boolean => token?.type === 'op' && token.text === text;
export const isWord = (token: Token | undefined): boolean => token?.type === 'word' || token?.type === 'letters';
export const isNamed = (token: Token | undefined, word: string): boolean =>
  isWord(token) && token?.text.toLowerCase() === word;

export const isComma = (token: Token | undefined): boolean =>
  isOp(token, ',') || isNamed(token, 'and') || isOp(token, '∧');
export const isSemicolon = (token: Token): boolean =>
  isOp(token, ';') || isNamed(token, 'or') || isOp(token, '\\\\') || isOp(token, '∨');

const EQUALITIES = new Set(['=', '≈', '≡', '≅', '∼', '→']);
const ORDERS = new Set(['<', '<=', '>', '>=']);
export const isEquality = (token: Token | undefined): boolean => token?.type === 'op' && EQUALITIES.has(token.text);
export const isOrder = (token: Token | undefined): boolean => token?.type === 'op' && ORDERS.has(token.text);

/** Parts between the separators that stand outside all brackets. */
export function split(tokens: readonly Token[], isSeparator: (token: Token, at: number) => boolean): Token[][] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const [at, token] of tokens.entries()) {
    if (token.type === 'open') depth++;
    if (token.type === 'close') depth--;
    if (depth === 0 && isSeparator(token, at)) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts;
}

/** Index of the first token outside all brackets that matches, or −1. */
export function indexAtTop(tokens: readonly Token[], matches: (token: Token, at: number) => boolean): number {
  let depth = 0;
  return tokens.findIndex((token, at) => {
    if (token.type === 'close') depth--;
    const found = depth === 0 && matches(token, at);
    if (token.type === 'open') depth++;
    return found;
  });
}

/** The content of the one pair of brackets that encloses all tokens. */
export function enclosed(tokens: readonly Token[]): Token[] | undefined {
  const isPair = tokens[0]?.type === 'open' && closingToken(tokens, 0) === tokens.length - 1;
  return isPair ? tokens.slice(1, -1) : undefined;
}

/** Punctuation and quotes around an answer taken off. */
export function trim(tokens: readonly Token[]): Token[] {
  const isEdge = (token: Token | undefined) => token?.type === 'op' && /^(?:[.,;:"`?#]|\\\\)$/.test(token.text);
  let [start, end] = [0, tokens.length];
  while (start < end && isEdge(tokens[start])) start++;
  while (end > start && isEdge(tokens[end - 1])) end--;
  return tokens.slice(start, end);
}

/** The tokens as one text: equal for two answers that differ in typesetting only. */
export const written = (tokens: readonly Token[]): string =>
  tokens.map(({ text, repeating = '', trailing }) => `${text}${repeating}${trailing ? '…' : ''}`).join('\u0001');
