import { type Expression, number, power, product, quotient } from './expression.js';
import type { Token } from './lex.js';

/** A unit of measurement: a number of base units, and of what. */
export interface Unit {
  /**
   * Base units with their exponents ("m1 s-2"); `percent` and `angle` for the two that a bare number may also stand
   * for; undefined for words that are no unit ("apples"), which say nothing about the value.
   */
  readonly dimension: string | undefined;
  /** Base units in one of this unit. */
  readonly factor: Expression;
}

type Dimension = Readonly<Record<string, number>>;
interface Definition {
  readonly dimension: Dimension;
  readonly factor: Expression;
}

const decimal = (n: bigint | number, d: bigint | number = 1): Expression => ({
  op: 'number',
  value: { n: BigInt(n), d: BigInt(d) },
});
const unit = (dimension: Dimension, n: bigint | number = 1, d: bigint | number = 1): Definition => ({
  dimension,
  factor: decimal(n, d),
});

const DEGREE: Definition = {
  dimension: { angle: 1 },
  factor: quotient({ op: 'constant', name: 'pi' }, number(180)),
};
export const PERCENT: Unit = { dimension: 'percent1', factor: decimal(1, 100) };
export const DEGREES: Unit = { dimension: 'angle1', factor: DEGREE.factor };

/** Units with the names that answers use for them; a trailing s is allowed on names of four letters and more. */
const UNITS = new Map<string, Definition>([
  ...named(['m', 'meter', 'metre'], unit({ m: 1 })),
  ...named(['in', 'inch', 'inches'], unit({ m: 1 }, 254, 10_000)),
  ...named(['ft', 'foot', 'feet'], unit({ m: 1 }, 3048, 10_000)),
  ...named(['yd', 'yard'], unit({ m: 1 }, 9144, 10_000)),
  ...named(['mi', 'mile'], unit({ m: 1 }, 1_609_344, 1_000)),
  ...named(['g', 'gram', 'gm'], unit({ kg: 1 }, 1, 1_000)),
  ...named(['ton', 'tonne', 'tons'], unit({ kg: 1 }, 1_000)),
  ...named(['lb', 'lbs', 'pound'], unit({ lb: 1 })),
  ...named(['oz', 'ounce'], unit({ lb: 1 }, 1, 16)),
  ...named(['s', 'sec', 'secs', 'second'], unit({ s: 1 })),
  ...named(['min', 'mins', 'minute'], unit({ s: 1 }, 60)),
  ...named(['h', 'hr', 'hrs', 'hour'], unit({ s: 1 }, 3_600)),
  ...named(['day', 'days'], unit({ s: 1 }, 86_400)),
  ...named(['week', 'wk'], unit({ s: 1 }, 604_800)),
  ...named(['month'], unit({ month: 1 })),
  ...named(['year', 'yr', 'yrs'], unit({ month: 1 }, 12)),
  ...named(['L', 'l', 'liter', 'litre'], unit({ m: 3 }, 1, 1_000)),
  ...named(['gal', 'gallon'], unit({ gallon: 1 })),
  ...named(['mph'], unit({ m: 1, s: -1 }, 1_609_344, 3_600_000)),
  ...named(['kph', 'kmh', 'kmph'], unit({ m: 1, s: -1 }, 1_000, 3_600)),
  ...named(['K', 'kelvin'], unit({ K: 1 })),
  ...named(['mol', 'mole'], unit({ mol: 1 })),
  ...named(['A', 'amp', 'ampere'], unit({ A: 1 })),
  ...named(['C', 'coulomb'], unit({ A: 1, s: 1 })),
  ...named(['N', 'newton'], unit({ kg: 1, m: 1, s: -2 })),
  ...named(['J', 'joule'], unit({ kg: 1, m: 2, s: -2 })),
  ...named(['W', 'watt'], unit({ kg: 1, m: 2, s: -3 })),
  ...named(['Pa', 'pascal'], unit({ kg: 1, m: -1, s: -2 })),
  ...named(['V', 'volt'], unit({ kg: 1, m: 2, s: -3, A: -1 })),
  ...named(['Hz', 'hertz'], unit({ s: -1 })),
  ...named(['ohm', 'Omega'], unit({ kg: 1, m: 2, s: -3, A: -2 })),
  ...named(['eV'], unit({ eV: 1 })),
  ...named(['pc', 'parsec'], unit({ pc: 1 })),
  ...named(['AU', 'au'], unit({ AU: 1 })),
  ...named(['ly'], unit({ lightyear: 1 })),
  ...named(['erg', 'ergs'], unit({ kg: 1, m: 2, s: -2 }, 1, 10_000_000)),
  ...named(['cal', 'calorie'], unit({ kg: 1, m: 2, s: -2 }, 4_184, 1_000)),
  ...named(['dyn', 'dyne'], unit({ kg: 1, m: 1, s: -2 }, 1, 100_000)),
  ...named(['bar'], unit({ kg: 1, m: -1, s: -2 }, 100_000)),
  ...named(['atm'], unit({ kg: 1, m: -1, s: -2 }, 101_325)),
  ...named(['psi'], unit({ psi: 1 })),
  ...named(['rpm'], unit({ rpm: 1 })),
  ...named(['amu'], unit({ amu: 1 })),
  ...named(['byte', 'B'], unit({ bit: 1 }, 8)),
  ...named(['bit', 'bits'], unit({ bit: 1 })),
  ...named(['$', 'dollar', 'USD', 'usd'], unit({ dollar: 1 })),
  ...named(['cent', '¢'], unit({ dollar: 1 }, 1, 100)),
  ...named(['€', 'euro', 'EUR'], unit({ euro: 1 })),
  ...named(['£', 'GBP'], unit({ sterling: 1 })),
  ...named(['¥', 'yen', 'yuan', 'RMB'], unit({ yen: 1 })),
  ...named(['₹', 'rupee', 'Rs'], unit({ rupee: 1 })),
  ...named(['degree', 'deg', '°'], DEGREE),
  ...named(['rad', 'rads', 'radian'], unit({ angle: 1 })),
  ...named(['percent', '%'], unit({ percent: 1 }, 1, 100)),
]);
/** Metric prefixes as powers of ten, for the short names and the long ones. */
const PREFIXES = Object.entries({
  ...{ n: -9, mu: -6, u: -6, m: -3, c: -2, d: -1, k: 3, M: 6, G: 9, T: 12 },
  ...{ nano: -9, micro: -6, milli: -3, centi: -2, deci: -1, kilo: 3, mega: 6, giga: 9 },
});
const PREFIXED =
  /^(?:m|g|s|L|l|J|W|N|V|A|C|Pa|Hz|eV|pc|mol|B|ohm|cal|bar|meter|metre|gram|second|liter|litre|joule|watt|byte)s?$/;
/** Words that multiply the number before them. */
const SCALES = new Map(
  Object.entries({
    dozen: 12,
    hundred: 100,
    thousand: 1_000,
    million: 10 ** 6,
    billion: 10 ** 9,
    trillion: 10 ** 12,
  }).map(([word, worth]) => [word, number(worth)]),
);
const CURRENCIES = new Set(['$', '£', '€', '¥', '₹', '¢', 'USD', 'EUR', 'GBP', 'RMB', 'Rs']);
const EXPONENT_WORDS = new Map([
  ['square', 2],
  ['sq', 2],
  ['cubic', 3],
  ['cu', 3],
]);
const SUFFIX_WORDS = new Map([
  ['squared', 2],
  ['cubed', 3],
]);

function named(names: readonly string[], definition: Definition): [string, Definition][] {
  return names.map((name) => [name, definition]);
}

function define(name: string): Definition | undefined {
  const direct = UNITS.get(name);
  if (direct) return direct;
  const singular = name.length > 4 && name.endsWith('s') ? name.slice(0, -1) : undefined;
  if (singular) return define(singular);
  for (const [prefix, exponent] of PREFIXES) {
    const base = name.slice(prefix.length);
    const definition =
      name.startsWith(prefix) && PREFIXED.test(base) ? UNITS.get(base.replace(/s$/, '') || base) : undefined;
    if (definition) {
      const scale = exponent < 0 ? decimal(1, 10n ** BigInt(-exponent)) : decimal(10n ** BigInt(exponent));
      return { dimension: definition.dimension, factor: product(scale, definition.factor) };
    }
  }
  const lower = name.toLowerCase();
  return lower !== name && name.length > 2 ? define(lower) : undefined;
}

export const isCurrency = (token: Token | undefined): boolean =>
  token !== undefined && (token.type === 'op' || token.text.length > 1) && CURRENCIES.has(token.text);
export const isUnitName = (name: string): boolean => define(name) !== undefined;

/** Longer runs of words are no unit. */
const MAX_UNIT_TOKENS = 40;

/** What the words after a number say: a multiplier ("million") and a unit. */
export interface Measure {
  readonly scale: Expression | undefined;
  readonly unit: Unit | undefined;
}

/**
 * The unit that a run of tokens spells ("m/s", "cm^2", "square feet", "kilometres per hour", "million dollars"), or
 * undefined where the tokens can't be a unit at all. Words that are no known unit give a unit without dimension.
 */
export function readMeasure(tokens: readonly Token[]): Measure | undefined {
  if (tokens.length > MAX_UNIT_TOKENS) return undefined;
  let scale: Expression | undefined;
  let factor: Expression = number(1);
  const dimension = new Map<string, number>();
  let known = true;
  let over = 1;
  let prefix = 1;

  for (let at = 0; at < tokens.length; at++) {
    const { type, text } = tokens[at] as Token;
    if (type === 'op' && (text === '*' || text === '-' || text === '.' || text === ',' || text === "'")) continue;
    if ((type === 'open' || type === 'close') && text !== '[' && text !== ']') continue;
    if ((type === 'op' && text === '/') || text === 'per') {
      over = -1;
      continue;
    }
    const lower = text.toLowerCase();
    if (type === 'number' || (type === 'op' && !CURRENCIES.has(text) && text !== '%')) return undefined;
    if (type === 'command' && text !== 'mu' && text !== 'Omega') return undefined;
    const worth = SCALES.get(lower);
    const exponentWord = EXPONENT_WORDS.get(lower);
    if (worth) {
      scale = scale ? product(scale, worth) : worth;
      continue;
    }
    if (exponentWord) {
      prefix = exponentWord;
      continue;
    }
    // µm: the prefix is a symbol of its own.
    const glued = text === 'mu' && tokens[at + 1] ? `mu${tokens[++at]?.text}` : text;
    const definition = define(glued);
    const { exponent, length } = readUnitExponent(tokens, at + 1);
    at += length;
    if (!definition) {
      known = false;
      continue;
    }
    const times = over * prefix * exponent;
    prefix = 1;
    for (const [base, count] of Object.entries(definition.dimension)) {
      dimension.set(base, (dimension.get(base) ?? 0) + count * times);
    }
    factor = product(factor, power(definition.factor, number(times)));
  }
  if (dimension.size === 0 && known) return scale ? { scale, unit: undefined } : undefined;
  if (dimension.size === 0) return { scale, unit: { dimension: undefined, factor: number(1) } };
  const signature = [...dimension].filter(([, count]) => count !== 0).map(([base, count]) => `${base}${count}`);
  return { scale, unit: { dimension: signature.sort().join(' '), factor } };
}

/** ^2, ^{-1}, "squared": the exponent and how many tokens it takes. */
function readUnitExponent(tokens: readonly Token[], at: number): { exponent: number; length: number } {
  const word = SUFFIX_WORDS.get(tokens[at]?.text ?? '');
  if (word) return { exponent: word, length: 1 };
  if (tokens[at]?.text !== '^') return { exponent: 1, length: 0 };
  let end = at + 1;
  let text = '';
  const group = tokens[end]?.text === '{';
  if (group) end++;
  if (tokens[end]?.text === '-') text = tokens[end++]?.text ?? '';
  if (tokens[end]?.type === 'number') text += tokens[end++]?.text ?? '';
  if (group && tokens[end]?.type === 'close') end++;
  const exponent = Number(text);
  return Number.isInteger(exponent) && exponent !== 0
    ? { exponent, length: end - at }
    : { exponent: 1, length: end - at };
}
