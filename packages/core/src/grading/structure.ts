import type { Answer } from './answer.js';
import { type Budget, spend } from './budget.js';
import { intervalsOf, readBrackets, readSymbolAnswer, readUnion } from './collections.js';
import { lex, type Token } from './lex.js';
import { readMatrix } from './matrix.js';
import { normalise } from './normalise.js';
import { parseExpression } from './parse.js';
import { readPhrase, separateGluedWords, withoutCondition, withoutProse } from './phrases.js';
import { readQuantity, readRatio } from './quantity.js';
import type { Reader } from './reader.js';
import { createRegion, intersect } from './region.js';
import { readRelation } from './relations.js';
import { enclosed, isComma, isOp, isSemicolon, isWord, split, trim, written } from './tokens.js';
import { createValue } from './value.js';

/** Brackets within brackets that are followed. */
const MAX_NESTING = 12;
/** Finding out what kind of item some tokens are, in steps of the budget. */
const ITEM_STEPS = 30;
/** Each ± doubles the answers. */
const MAX_PLUS_MINUS = 3;

/** The tokens of an answer; undefined where there are more than the lexer takes. */
export const tokensOf = (text: string): Token[] | undefined => lex(normalise(text));

/** What an answer says, as far as its form tells: from the outside in, each reader takes what it knows. */
export function readAnswer(tokens: readonly Token[], budget: Budget): Answer {
  return readWhole(tokens, createReader(budget, 0));
}

function createReader(budget: Budget, nesting: number): Reader {
  const parse: Reader['parse'] = (tokens) => parseExpression(tokens, budget);
  const inner =
    <T extends readonly Token[]>(read: (tokens: T, reader: Reader) => Answer) =>
    (tokens: T) =>
      nesting < MAX_NESTING ? read(tokens, createReader(budget, nesting + 1)) : opaque(tokens);
  return {
    budget,
    parse,
    parseValue: (tokens) => {
      const expression = parse(tokens);
      return expression && createValue(expression);
    },
    readWhole: inner(readWhole),
    readItem: inner(readItem),
    readElement: inner((tokens, reader) => readChoice(trim(tokens), reader) ?? readItem(tokens, reader)),
  };
}

/** What is not understood is compared as written, but for braces: \pmod 5 and \pmod{5}. */
function opaque(tokens: readonly Token[]): Answer {
  const bare = tokens.filter(({ text }) => text !== '{' && text !== '}');
  return { kind: 'opaque', key: written(bare.length > 0 ? bare : tokens) };
}

/** A whole answer: prose and conditions off, then a choice or alternatives. */
function readWhole(tokens: readonly Token[], reader: Reader): Answer {
  const body = withoutCondition(withoutProse(trim(tokens.flatMap(separateGluedWords))));
  return readChoice(body, reader) ?? readPhrase(body, reader) ?? readAlternatives(body, reader);
}

/** One letter chosen: C, (C), C., (C) Plane, C: 12. A letter alone may also be a variable. */
function readChoice(tokens: readonly Token[], reader: Reader): Answer | undefined {
  const content = enclosed(tokens) ?? tokens;
  const [only] = content;
  if (content.length === 1 && only?.type === 'letters' && /^[A-Za-z]$/.test(only.text)) {
    return { kind: 'choice', letter: only.text.toLowerCase(), content: reader.readItem(content) };
  }
  const bracketed = tokens[0]?.text === '(' && tokens[2]?.text === ')';
  const letter = tokens[bracketed ? 1 : 0];
  const rest = tokens.slice(bracketed ? 3 : 2);
  if (letter?.type !== 'letters' || !/^[A-J]$/.test(letter.text)) return undefined;
  const [first, second] = [rest[0], tokens[1]];
  const isMarked = bracketed
    ? first !== undefined &&
      !isComma(first) &&
      !isSemicolon(first) &&
      ((isWord(first) && first.text.length > 1) || (first.spaced && !isOp(first, '=')))
    : second?.text === ')' || isOp(second, '.') || (isOp(second, ':') && first?.spaced);
  if (!isMarked) return undefined;
  return { kind: 'choice', letter: letter.text.toLowerCase(), content: first && reader.readWhole(rest) };
}

/** "or", ";" and line breaks separate alternatives, each of which may be several items: p=5,q=2; p=7,q=2. */
function readAlternatives(tokens: readonly Token[], reader: Reader): Answer {
  const groups = split(tokens, isSemicolon).map(trim);
  const answers = groups.filter(({ length }) => length > 0).map((group) => readItems(group, reader));
  const [first, second] = answers;
  if (!first) return opaque(tokens);
  if (!second) return first;
  const regions = answers.filter((answer) => answer.kind === 'region');
  if (regions.length === answers.length) {
    const intervals = regions.flatMap((region) => region.intervals);
    return createRegion(regions.find(({ variable }) => variable)?.variable, intervals, reader.budget);
  }
  const items = answers.map((answer) => (answer.kind === 'list' ? answer.items : [answer]));
  const isTable = items.every(({ length }) => length > 1 && length === items[0]?.length);
  return { kind: 'list', items: isTable ? items.map(asTuple) : items.flat() };
}

/** Items between commas and "and". */
function readItems(tokens: readonly Token[], reader: Reader): Answer {
  const parts = split(tokens, isComma)
    .map(trim)
    .filter(({ length }) => length > 0);
  const items = parts.map((part) => (parts.length > 1 && readChoice(part, reader)) || readItem(part, reader));
  const [first, second] = items;
  if (!first) return opaque(tokens);
  if (!second || (items.length === 2 && isCondition(second, first))) return first;
  const region = joinBounds(items, reader);
  if (region) return region;
  const solutions = groupByName(items);
  if (solutions) return { kind: 'list', items: solutions.map(asTuple) };
  return { kind: 'list', items: items.flatMap((item) => (item.kind === 'list' ? item.items : [item])) };
}

/** \frac1x, x ≠ 0: the second item only says where the first one holds. */
function isCondition(second: Answer, first: Answer): boolean {
  const isRelation = second.kind === 'inequalities' || (second.kind === 'region' && second.variable !== undefined);
  const main = first.kind === 'equation' ? first.value : first;
  return isRelation && main.kind === 'quantity' && main.value.symbols.size > 0;
}

/** x > 1, x < 3 is their intersection; x < 1, x > 3 can only mean the union. Intervals in a list stay apart. */
function joinBounds(items: readonly Answer[], { budget }: Reader): Answer | undefined {
  const regions = items.filter((item) => item.kind === 'region');
  const [first, ...others] = regions;
  if (regions.length < items.length || !first?.variable) return undefined;
  if (others.some(({ variable }) => variable !== first.variable)) return undefined;
  let common: typeof first | undefined = first;
  for (const next of others) common = common && intersect(common, next, budget);
  if (common && common.intervals.length > 0) return common;
  return createRegion(
    first.variable,
    items.flatMap((item) => intervalsOf(item) ?? []),
    budget,
  );
}

/** p=5, q=2, p=7, q=2: the names come round again, so each round is one solution. */
function groupByName(items: readonly Answer[]): Answer[][] | undefined {
  const names = items.map((item) => (item.kind === 'equation' ? item.name : undefined));
  const period = names.indexOf(names[0], 1);
  if (names[0] === undefined || period < 2 || names.length % period !== 0) return undefined;
  if (!names.every((name, at) => name === names[at % period])) return undefined;
  return Array.from({ length: items.length / period }, (_, at) => items.slice(at * period, (at + 1) * period));
}

/** The solution (5,2) out of p=5, q=2. */
function asTuple(items: readonly Answer[]): Answer {
  return { kind: 'tuple', bracket: '(', items: items.map((item) => (item.kind === 'equation' ? item.value : item)) };
}

function readItem(source: readonly Token[], reader: Reader): Answer {
  spend(reader.budget, ITEM_STEPS + source.length);
  const tokens = trim(source);
  return (
    readPhrase(tokens, reader) ??
    readPlusMinus(tokens, reader) ??
    readRelation(tokens, reader) ??
    readUnion(tokens, reader) ??
    readMatrix(tokens, reader) ??
    readBrackets(tokens, reader) ??
    readSymbolAnswer(tokens, reader) ??
    readRatio(tokens, reader) ??
    readQuantity(tokens, reader) ??
    opaque(tokens)
  );
}

/** Each ± gives two answers; ∓ is the opposite of the first ±. */
function readPlusMinus(tokens: readonly Token[], reader: Reader): Answer | undefined {
  const places = tokens.flatMap((token, at) => (isOp(token, '±') ? [at] : []));
  if (places.length === 0 || places.length > MAX_PLUS_MINUS) return undefined;
  const items: Answer[] = [];
  for (let choice = 0; choice < 2 ** places.length; choice++) {
    const isMinus = (place: number) => Math.floor(choice / 2 ** place) % 2 === 1;
    const signed = tokens.map((token, at) => {
      if (isOp(token, '∓')) return { ...token, text: isMinus(0) ? '+' : '-' };
      const place = places.indexOf(at);
      return place < 0 ? token : { ...token, text: isMinus(place) ? '-' : '+' };
    });
    items.push(reader.readItem(signed));
  }
  return { kind: 'list', items };
}
