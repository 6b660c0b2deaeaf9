import type { Answer } from './answer.js';
import type { Token } from './lex.js';
import { startsWithName } from './parse.js';
import type { Reader } from './reader.js';
import { createRegion, REALS } from './region.js';
import { closingToken, indexAtTop, isComma, isEquality, isOp, isOrder, isSemicolon, isWord, trim } from './tokens.js';

/** Words around an answer that are not part of it: "The answer is", "approximately". */
const PROSE = new Set([
  ...['the', 'final', 'correct', 'answer', 'answers', 'solution', 'result', 'option', 'choice', 'is', 'are', 'equals'],
  ...['approximately', 'approx', 'about', 'around', 'roughly', 'nearly', 'exactly', 'therefore', 'thus', 'hence', 'so'],
  ...['equal', 'to', 'value', 'ans', 'or', 'choose', 'select', 'pick', 'letter', 'we', 'get', 'have'],
]);
/** Words that begin a condition: "\frac1x, for x > 0". */
const CONDITIONS = new Set([
  ...['for', 'where', 'when', 'whenever', 'if', 'with', 'provided', 'given', 'assuming', 'such', 'unless'],
]);
/** Runs of two or three letters that are words and not products of variables. */
const SHORT_WORDS = new Set([
  ...[
    'yes',
    'no',
    'odd',
    'one',
    'two',
    'six',
    'ten',
    'all',
    'any',
    'not',
    'red',
    'dne',
    'sat',
    'sun',
    'mon',
    'non',
    'on',
  ],
]);
/** Words for things that also have a symbol, as they read without spaces. */
const EMPTY_SET =
  /^(?:there(?:is|are|exist)?)?(?:no(?:real|integer|positive|valid|such)?(?:solutions?|roots?|values?)(?:exists?)?|none|(?:the)?emptyset|nullset)$/;
const ALL_REALS = /^(?:all)?(?:the)?real(?:number)?s?$/;
const INFINITY = /^(?:positive)?infinity$|^inf$|^oo$/;

/** Letters and digits only, lower case: what two phrases are compared by. */
const phraseKey = (tokens: readonly Token[]): string =>
  tokens
    .map(({ text }) => text)
    .join('')
    .toLowerCase()
    .replace(/[^\p{L}\d]/gu, '');

export const isInfinity = (token: Token | undefined): boolean =>
  isOp(token, '∞') || (token !== undefined && isWord(token) && INFINITY.test(token.text.toLowerCase()));

/** Words, among them those that have a symbol: "no solution", "all real numbers", "infinity". */
export function readPhrase(tokens: readonly Token[], { budget }: Reader): Answer | undefined {
  if (!isPhrase(tokens)) return undefined;
  const key = phraseKey(tokens);
  if (EMPTY_SET.test(key)) return { kind: 'set', items: [] };
  if (ALL_REALS.test(key)) return createRegion(undefined, [REALS], budget);
  if (INFINITY.test(key)) return { kind: 'infinity', negative: false };
  // "Alice and Bob" is a list.
  if (tokens.some(isComma) || tokens.some(isSemicolon)) return undefined;
  return { kind: 'words', key };
}

/** Whether the tokens are words and not mathematics: no, Bob, odd, AB, "not enough information"; but not xy or "a b". */
function isPhrase(tokens: readonly Token[]): boolean {
  const words = tokens.filter(isWord);
  const marks = tokens.filter((token) => !isWord(token));
  if (words.length === 0 || marks.some(({ type, text }) => type !== 'op' || !/^[-.,'!?"]$/.test(text))) return false;
  if (words.some(({ type }) => type === 'word')) return true;
  if (words.length > 1) return marks.length === 0 && words.some(({ text }) => text.length > 1);
  const text = words[0]?.text ?? '';
  if (marks.length > 0 || text.length === 1) return false;
  if (text.length > 3) return !startsWithName(text);
  return SHORT_WORDS.has(text.toLowerCase()) || /^[A-Z]{2,}$|^[A-Z][a-z]+$/.test(text);
}

/** "The answer is", "about" and a leading "=" cut off; where nothing else is left, the words are the answer. */
export function withoutProse(tokens: readonly Token[]): Token[] {
  const isProse = (token: Token | undefined) =>
    isWord(token) && (token?.text.length ?? 0) > 1 && PROSE.has(token?.text.toLowerCase() ?? '');
  const verb = tokens.findIndex((token) => isWord(token) && /^(?:is|are)$/i.test(token.text));
  const [subject, statement] = verb < 0 ? [[], tokens] : [tokens.slice(0, verb), tokens.slice(verb + 1)];
  // "C is correct"
  if (statement.length > 0 && statement.every(isProse) && subject.length > 0) return withoutProse(subject);
  let start = verb > 0 && statement.length > 0 && subject.every(isWord) ? verb + 1 : 0;
  while (start < tokens.length) {
    const isMark =
      isEquality(tokens[start]) || (tokens[start]?.type === 'op' && /^[:.,]$/.test(tokens[start]?.text ?? ''));
    if (!isProse(tokens[start]) && !isMark) break;
    start++;
  }
  return start < tokens.length ? tokens.slice(start) : [...tokens];
}

/** "…, for x > 0" and "… (x ≠ 0)" cut off: where an answer holds is not part of its value. */
export function withoutCondition(tokens: Token[]): Token[] {
  const at = indexAtTop(tokens, (token, index) => {
    if (index === 0 || !isWord(token)) return false;
    const word = token.text.toLowerCase();
    if (CONDITIONS.has(word)) return true;
    // Stripped of its spaces: ",\quadforx>0"
    const setOff = token.spaced || isOp(tokens[index - 1], ',');
    return setOff && token.type === 'letters' && /^(?:for|where|when|if)[a-z]$/.test(word);
  });
  const main = at > 0 ? trim(tokens.slice(0, at)) : tokens;
  if (main.length === 0 || isPhrase(main)) return tokens;
  if (main.at(-1)?.text !== ')') return main;
  const open = main.findIndex(({ text }, index) => text === '(' && closingToken(main, index) === main.length - 1);
  const inside = main.slice(open + 1, -1);
  const isRelation = inside.some((token) => isOrder(token) || isOp(token, '!=') || isOp(token, '∈'));
  return open > 0 && isRelation && !isComma(main[open - 1]) ? main.slice(0, open) : main;
}

/** "x=1orx=2" of data whose spaces were stripped: the word comes off the letter behind it. */
export function separateGluedWords(token: Token): Token[] {
  const match = token.type === 'letters' ? /^(or|and)([a-zA-Z])$/.exec(token.text) : null;
  if (!match) return [token];
  return [
    { ...token, text: match[1] ?? '' },
    { ...token, text: match[2] ?? '', spaced: false },
  ];
}
