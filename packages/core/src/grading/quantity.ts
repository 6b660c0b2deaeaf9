import type { Answer, Quantity } from './answer.js';
import { type Expression, product, quotient, sum } from './expression.js';
import type { Token } from './lex.js';
import { isFunctionName, startsWithName } from './parse.js';
import type { Reader } from './reader.js';
import { indexAtTop, isNamed, isOp, isWord, split } from './tokens.js';
import { DEGREES, isCurrency, isUnitName, PERCENT, readMeasure, type Unit } from './units.js';
import { createValue, type Value } from './value.js';

/** A word of at least this many letters, set off by a space or glued to a number, that is no known unit: "5 apples". */
const MIN_SPACED_WORD = 3;
const MIN_GLUED_WORD = 4;

const quantity = (value: Value, unit?: Unit, asProduct?: Value): Quantity => ({
  kind: 'quantity',
  value,
  unit,
  product: asProduct,
});

/** An expression, with money before it, or a unit, degrees or percent after it. */
export function readQuantity(source: readonly Token[], reader: Reader): Answer | undefined {
  const { parse, parseValue } = reader;
  const sign = isOp(source[0], '-') || isOp(source[0], '+') ? 1 : 0;
  const money = isCurrency(source[sign]);
  const tokens = money ? [...source.slice(0, sign), ...source.slice(sign + 1)] : source;
  const currency = money ? readMeasure(source.slice(sign, sign + 1))?.unit : undefined;
  const whole = parseValue(tokens);
  const mark = readMark(tokens);
  const at = mark?.at ?? unitStart(tokens);
  if (at < 1) return whole && quantity(whole, currency);
  const measure = mark ? { unit: mark.unit, scale: undefined } : readMeasure(tokens.slice(at));
  // "25% increase" is 25%.
  if (measure?.unit && measure.unit.dimension === undefined && isOp(tokens[at - 1], '%')) {
    return readQuantity(tokens.slice(0, at), reader);
  }
  const body = measure && parse(tokens.slice(0, at));
  if (!measure || !body) return readCompound(tokens, reader) ?? (whole && quantity(whole, currency));
  const value = createValue(measure.scale ? product(body, measure.scale) : body);
  // Letters that are a unit without \text may be variables after all.
  const isPlain = !mark && tokens.slice(at).every(({ type }) => type !== 'word');
  return quantity(value, measure.unit ?? currency, isPlain ? whole : undefined);
}

/** %, ° and °C at the end; but \sin 15^\circ is a number. */
function readMark(tokens: readonly Token[]): { at: number; unit: Unit } | undefined {
  const last = tokens.length - 1;
  if (isOp(tokens[last], '%')) return { at: last, unit: PERCENT };
  if (tokens.some(({ text }) => isFunctionName(text))) return undefined;
  const scale = isWord(tokens[last])
    ? /^(?:[CF]|Celsius|Fahrenheit)$/.exec(tokens[last]?.text ?? '')?.[0][0]
    : undefined;
  const end = scale ? last : last + 1;
  for (const spelling of [['^', '°'], ['^', '{', '°', '}'], ['°']]) {
    const at = end - spelling.length;
    if (at > 0 && spelling.every((text, offset) => tokens[at + offset]?.text === text)) {
      return { at, unit: scale ? { ...DEGREES, dimension: `temperature ${scale}` } : DEGREES };
    }
  }
  return undefined;
}

/** Where the unit begins, or −1: \text words, or letters after a number that are a unit's name or a word. */
function unitStart(tokens: readonly Token[]): number {
  return indexAtTop(tokens, (token, at) => {
    if (at === 0 || isOp(tokens[at - 1], '_') || isOp(tokens[at - 1], '^')) return false;
    if (token.type === 'word') return !isFunctionName(token.text);
    // \mu m, 10\ \Omega
    if (token.type === 'command' && token.text === 'mu') return isWord(tokens[at + 1]) && at === tokens.length - 2;
    if (token.type === 'command') return token.text === 'Omega' && token.spaced && at === tokens.length - 1;
    if (isCurrency(token)) return true;
    // 45 min
    const isMinutes = token.text === 'min' && at === tokens.length - 1;
    if (token.type !== 'letters' || (isFunctionName(token.text) && !isMinutes)) return false;
    const before = tokens.slice(0, at);
    if (before.some(({ type }) => type === 'letters') || before.at(-1)?.type === 'op') return false;
    if (/^(?:st|nd|rd|th)$/.test(token.text)) return !token.spaced;
    if (token.text.length === 1) return isUnitName(token.text) && isSetOff(tokens, at);
    const isLongWord = token.text.length >= (token.spaced ? MIN_SPACED_WORD : MIN_GLUED_WORD);
    return isMinutes || isUnitName(token.text) || (isLongWord && !startsWithName(token.text));
  });
}

/** One letter is a unit where a space, a power or a decimal number says so: "5 m", "3s^{-1}", "2.5m"; "5m" is a product. */
function isSetOff(tokens: readonly Token[], at: number): boolean {
  const next = tokens[at + 1];
  const isPower = /^[ms]$/.test(tokens[at]?.text ?? '') && (isOp(next, '^') || isOp(next, '/'));
  const isMeasured = tokens.slice(0, at).some((token) => isOp(token, '*') || /[.e]/.test(token.text));
  return (tokens[at]?.spaced ?? false) || isPower || isMeasured;
}

/** 1 hour 30 minutes, 5 feet 6 inches: numbers with units of one dimension, added up in the first one. */
function readCompound(tokens: readonly Token[], { parse }: Reader): Answer | undefined {
  const isStart = ({ type }: Token, at: number) => type === 'number' && !/[\^{-]/.test(tokens[at - 1]?.text ?? '');
  const starts = tokens.flatMap((token, at) => (isStart(token, at) ? [at] : []));
  if (starts.length < 2 || starts[0] !== 0) return undefined;
  const terms: { value: Expression; unit: Unit }[] = [];
  for (const [nth, start] of starts.entries()) {
    const [digits, ...words] = tokens.slice(start, starts[nth + 1] ?? tokens.length);
    const value = digits && parse([digits]);
    const unit = readMeasure(words)?.unit;
    if (!value || unit?.dimension === undefined) return undefined;
    terms.push({ value, unit });
  }
  const [first] = terms;
  if (!first || terms.some(({ unit }) => unit.dimension !== first.unit.dimension)) return undefined;
  const total = sum(...terms.map(({ value, unit }) => product(value, unit.factor)));
  return quantity(createValue(quotient(total, first.unit.factor)), first.unit);
}

/** 3:4, 1:2:3, 12:30, 7:45 p.m. */
export function readRatio(tokens: readonly Token[], { parseValue }: Reader): Answer | undefined {
  const parts = split(tokens, (token) => isOp(token, ':') || isNamed(token, 'to'));
  if (parts.length < 2) return undefined;
  const terms = parts.flatMap((part) => parseValue(part) ?? []);
  const [hours = '', minutes = ''] = parts.map((part) =>
    part
      .map(({ text }) => text)
      .join('')
      .toLowerCase(),
  );
  const clock = parts.length === 2 && /^\d{1,2}$/.test(hours) ? /^([0-5]\d)(?:([ap])\.?m\.?)?$/.exec(minutes) : null;
  const time = clock
    ? { minutes: Number(hours) * 60 + Number(clock[1]), half: clock[2], padded: minutes.startsWith('0') }
    : undefined;
  if (terms.length === parts.length) return { kind: 'ratio', terms, time };
  return time && { kind: 'ratio', terms: [], time };
}
