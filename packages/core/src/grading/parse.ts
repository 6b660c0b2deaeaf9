import { type Budget, spend } from './budget.js';
import {
  call,
  type Expression,
  FUNCTION_NAMES,
  type FunctionName,
  negative,
  number,
  power,
  product,
  quotient,
  rewrite,
  sum,
} from './expression.js';
import type { Token } from './lex.js';
import { closingToken } from './tokens.js';

/** Brackets, exponents and signs nested deeper than this are refused, so that recursion stays shallow. */
export const MAX_DEPTH = 60;

/** Decimal exponents beyond this stay a power of ten in the expression instead of being written out. */
const MAX_WRITTEN_EXPONENT = 400;

/** Other names of the functions that the evaluators know. */
const FUNCTION_ALIASES = Object.entries<FunctionName>({
  ...{ asin: 'arcsin', acos: 'arccos', atan: 'arctan', arcsinh: 'arsinh', arccosh: 'arcosh', arctanh: 'artanh' },
  ...{ cosec: 'csc', tg: 'tan', ctg: 'cot', arctg: 'arctan', Gamma: 'gamma', ceiling: 'ceil' },
});
const FUNCTIONS: ReadonlyMap<string, FunctionName> = new Map([
  ...FUNCTION_NAMES.filter((name) => name !== 'f' && name !== 'root' && name !== 'gamma').map(
    (name) => [name, name] as const,
  ),
  ...FUNCTION_ALIASES,
]);
export const isFunctionName = (name: string): boolean => FUNCTIONS.has(name);
/** Whether a run of letters starts with a function or constant: "sinx", "pir". */
export const startsWithName = (letters: string): boolean => NAMES_IN_LETTERS.some((name) => letters.startsWith(name));

const INVERSES: Partial<Record<FunctionName, FunctionName>> = {
  ...{ sin: 'arcsin', cos: 'arccos', tan: 'arctan', cot: 'arccot', sec: 'arcsec', csc: 'arccsc' },
  ...{ sinh: 'arsinh', cosh: 'arcosh', tanh: 'artanh' },
};
/** Words that a run of plain letters may hold without a backslash: "2sin(x)", "3pi". Longest first. */
const NAMES_IN_LETTERS = [...FUNCTIONS.keys(), 'lg', 'sqrt', 'cbrt', 'pi', 'theta', 'alpha', 'beta', 'omega', 'lambda']
  .filter((name) => !['Re', 'Im', 'arg', 'mod', 'tg', 'Gamma'].includes(name))
  .sort((a, b) => b.length - a.length);
const BASE_WORDS = new Map(
  ['two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve'].map((word, at) => [
    word,
    at + 2,
  ]),
);
const ACCENTS = [
  ...['overline', 'bar', 'hat', 'widehat', 'vec', 'tilde', 'dot', 'ddot', 'overrightarrow', 'overleftrightarrow'],
];
/** Marks put before the name of a geometric object: \angle ABC. */
const MARKS = ['angle', 'measuredangle', 'triangle', 'square'];
const CLOSING = new Map([
  ['(', ')'],
  ['[', ']'],
  ['{', '}'],
  ['lfloor', 'rfloor'],
  ['lceil', 'rceil'],
]);

class NotAnExpression extends Error {}

const fail = (): never => {
  throw new NotAnExpression();
};

/**
 * One mathematical expression, or undefined where the tokens are none.
 *
 *     sum     := term (('+' | '-') term)*
 *     term    := signed (('*' | '/' | 'mod' | nothing) signed)*
 *     signed  := '-' signed | postfix
 *     postfix := primary ('^' exponent | '!' | '%' | '°' | "'")*
 *     primary := number | symbol subscript? | '(' sum ')' | '|' sum '|' | function argument | \frac … | Σ …
 *
 * A function without brackets takes the factors that follow up to an operator or another function: \sin 2x\cos x.
 */
export function parseExpression(tokens: readonly Token[], budget: Budget): Expression | undefined {
  try {
    return parseNumeral(tokens) ?? parseTokens(splitLetters(tokens), budget);
  } catch (error) {
    if (error instanceof NotAnExpression) return undefined;
    throw error;
  }
}

/** Runs of plain letters cut into function names and single letters: "RsC" is three symbols, "xsin" a symbol and sin. */
function splitLetters(tokens: readonly Token[]): Token[] {
  return tokens.flatMap((token, at) => {
    // 3 x 10^8
    const betweenNumbers = tokens[at - 1]?.type === 'number' && tokens[at + 1]?.type === 'number';
    if (token.text === 'x' && betweenNumbers) return { ...token, type: 'op' as const, text: '*' };
    if (token.type === 'word' && (FUNCTIONS.has(token.text) || token.text === 'lg' || token.text === 'cis')) {
      return { ...token, type: 'command' as const };
    }
    if (token.type !== 'letters' || token.text.length === 1) return token;
    const pieces: Token[] = [];
    for (let at = 0; at < token.text.length; ) {
      const name = NAMES_IN_LETTERS.find((candidate) => token.text.startsWith(candidate, at));
      const text = name ?? [...token.text.slice(at)][0] ?? '';
      pieces.push({ type: name ? 'command' : 'letters', text, spaced: token.spaced && at === 0 });
      at += text.length;
    }
    return pieces;
  });
}

/** A whole answer in positional notation with its base: 1010_2, (1010)_{2}, \text{A3}_{16}. */
function parseNumeral(tokens: readonly Token[]): Expression | undefined {
  const underscore = tokens.findIndex((token) => token.text === '_' && token.type === 'op');
  if (underscore < 1) return undefined;
  const strip = (part: readonly Token[]) => part.filter(({ type }) => type !== 'open' && type !== 'close');
  const digits = strip(tokens.slice(0, underscore))
    .map(({ text }) => text)
    .join('');
  const [base, ...rest] = strip(tokens.slice(underscore + 1));
  if (!base || rest.length > 0) return undefined;
  const radix = base.type === 'number' ? Number(base.text) : BASE_WORDS.get(base.text);
  if (radix === undefined || !Number.isInteger(radix) || radix < 2 || radix > 36) return undefined;
  // Letters are digits only in bases above ten, where a number has a decimal digit or two letters: x_{12} is a symbol.
  const isNumeral = radix <= 10 ? /^\d+$/ : /^(?=.*\d|[A-Z]{2})[\dA-Z]+$/;
  return isNumeral.test(digits) ? numeral(digits, radix) : undefined;
}

function numeral(digits: string, radix: number): Expression | undefined {
  let value = 0n;
  for (const digit of digits) {
    const worth = Number.parseInt(digit, 36);
    if (Number.isNaN(worth) || worth >= radix) return undefined;
    value = value * BigInt(radix) + BigInt(worth);
  }
  return number(value);
}

function parseTokens(source: readonly Token[], budget: Budget): Expression {
  let tokens = [...source];
  let at = 0;
  let depth = 0;
  let openBars = 0;
  /** Index letters of the sums around the cursor: there `i` is a variable. */
  const bound: string[] = [];

  const peek = (offset = 0): Token | undefined => tokens[at + offset];
  const isOp = (text: string, offset = 0) => peek(offset)?.type === 'op' && peek(offset)?.text === text;
  const isOpen = (text?: string) => peek()?.type === 'open' && (text === undefined || peek()?.text === text);
  const take = (): Token => tokens[at++] ?? fail();
  const closeOf = (open: number) => {
    const close = closingToken(tokens, open);
    return close < 0 ? fail() : close;
  };
  const takeOp = (text: string) => isOp(text) && at++ >= 0;
  const nested = <T>(read: () => T): T => {
    spend(budget, 1);
    if (++depth > MAX_DEPTH) fail();
    const result = read();
    depth--;
    return result;
  };

  const readSum = (): Expression =>
    nested(() => {
      const terms = [readTerm()];
      while (isOp('+') || isOp('-')) terms.push(take().text === '-' ? negative(readTerm()) : readTerm());
      return terms.length === 1 ? (terms[0] as Expression) : sum(...terms);
    });

  /** A sum, or TeX's infix {a \over b} and {n \choose k}. */
  const readContent = (): Expression => {
    const content = readSum();
    if (takeOp('over')) return quotient(content, readSum());
    if (takeOp('choose')) return call('binomial', content, readSum());
    return content;
  };

  const readTerm = (): Expression => {
    let factors = [readSigned()];
    const soFar = () => (factors.length === 1 ? (factors[0] as Expression) : product(...factors));
    for (;;) {
      const previous = peek(-1);
      if (takeOp('*')) factors.push(readSigned());
      else if (takeOp('/')) factors = [quotient(soFar(), readSigned())];
      else if (takeOp('mod')) factors = [call('mod', soFar(), readSigned())];
      else if (startsOperand()) {
        // "2 3" is no product.
        if (peek()?.type === 'number' && previous?.type === 'number') fail();
        factors.push(readPostfix());
      } else return soFar();
    }
  };

  const readSigned = (): Expression => {
    if (takeOp('+')) return nested(readSigned);
    if (takeOp('-')) return negative(nested(readSigned));
    return readPostfix();
  };

  const startsOperand = (): boolean => {
    const token = peek();
    if (!token || token.type === 'close') return false;
    if (token.type === 'op') return token.text === '|' && openBars === 0;
    return true;
  };

  const readPostfix = (): Expression => {
    let result = readPrimary();
    for (;;) {
      if (isOp('^')) result = readExponent(result);
      else if (takeOp('!')) result = call(takeOp('!') ? 'doublefactorial' : 'factorial', result);
      else if (takeOp('%')) result = quotient(result, number(100));
      else if (takeOp('°')) result = degrees(result);
      else return result;
    }
  };

  const readExponent = (base: Expression): Expression => {
    take();
    if (takeOp('°')) return degrees(base);
    if (isOp("'")) return fail();
    if (isOpen('{')) {
      if (peek(1)?.text === '°' && peek(2)?.type === 'close') {
        at += 3;
        return degrees(base);
      }
      // The empty exponent that is left when an answer was stripped of its unit: 12^{\mathrm{}}.
      if (peek(1)?.type === 'close') {
        at += 2;
        return base;
      }
    }
    return power(base, readScript());
  };

  /** What stands after ^: a group, a signed number or one symbol. */
  const readScript = (): Expression =>
    nested(() => {
      if (takeOp('-')) return negative(readScript());
      if (takeOp('+')) return readScript();
      const argument = readOperand();
      // Plain-text towers associate to the right: 2^3^2.
      return isOp('^') ? readExponent(argument) : argument;
    });

  const readGroup = (): Expression => {
    const open = take();
    const close = CLOSING.get(open.text) ?? fail();
    const outerBars = openBars;
    openBars = 0;
    const content = readContent();
    openBars = outerBars;
    if (peek()?.type !== 'close' || take().text !== close) fail();
    if (open.text === 'lfloor') return call('floor', content);
    if (open.text === 'lceil') return call('ceil', content);
    return content;
  };

  const readBars = (): Expression => {
    take();
    openBars++;
    const content = readSum();
    openBars--;
    if (!takeOp('|')) fail();
    return call('abs', content);
  };

  const readPrimary = (): Expression => {
    spend(budget, 1);
    const token = peek() ?? fail();
    if (token.type === 'number') return readNumber();
    if (token.type === 'open') {
      if (token.text !== 'lvert' && token.text !== 'lVert') return nested(readGroup);
      return nested(() => {
        take();
        const content = readSum();
        if (peek()?.type !== 'close') fail();
        take();
        return call('abs', content);
      });
    }
    if (isOp('|')) return nested(readBars);
    if (token.type === 'letters' || token.type === 'word') return readSymbol();
    if (token.type === 'command') return nested(readCommand);
    return fail();
  };

  /** The operand of ^, \sqrt and the like: a number there is never the whole part of a mixed number. */
  const readOperand = (): Expression => (peek()?.type === 'number' ? literal(take()) : readPrimary());

  const readNumber = (): Expression => {
    const token = take();
    const value = literal(token);
    if (isOp('_')) {
      take();
      const base = isOpen('{') ? readGroup() : literal(take());
      if (base.op !== 'number' || base.value.d !== 1n) return fail();
      return numeral(token.text, Number(base.value.n)) ?? fail();
    }
    return /^\d+$/.test(token.text) ? (readMixedFraction(value) ?? value) : value;
  };

  /** The fraction of a mixed number, 1\frac{3}{4} or 1 3/4, where one follows: it must be proper and made of digits. */
  const readMixedFraction = (whole: Expression): Expression | undefined => {
    const digits = (token: Token | undefined) => token?.type === 'number' && /^\d+$/.test(token.text);
    const start = at;
    let [over, under]: (Expression | undefined)[] = [];
    if (peek()?.type === 'command' && peek()?.text === 'frac') {
      take();
      over = readArgument();
      under = readArgument();
    } else if (peek()?.spaced && digits(peek()) && isOp('/', 1) && digits(peek(2))) {
      over = literal(take());
      take();
      under = literal(take());
    }
    const proper = over?.op === 'number' && under?.op === 'number' && over.value.n > 0n && over.value.n < under.value.n;
    if (over && under && proper && !isOp('^')) return sum(whole, quotient(over, under));
    at = start;
    return undefined;
  };

  /** The argument of \frac and \binom: a group, or as in TeX a single digit, letter or command. */
  const readArgument = (): Expression => {
    const token = peek() ?? fail();
    if (token.type !== 'number' || !/^\d{2,}$/.test(token.text)) return readOperand();
    const first = { ...token, text: token.text.slice(0, 1) };
    const rest = { ...token, text: token.text.slice(1), spaced: false };
    tokens = [...tokens.slice(0, at), first, rest, ...tokens.slice(at + 1)];
    return literal(take());
  };

  const readSymbol = (): Expression => {
    let name = take().text;
    while (takeOp("'")) name += "'";
    if (isOp('_')) return readSubscript(name);
    if (bound.includes(name)) return { op: 'symbol', name };
    if (name === 'e' || name === 'i') return { op: 'constant', name };
    if (/^f'*$/.test(name) && isOpen('(') && !peek()?.spaced) return call('f', readGroup());
    return { op: 'symbol', name };
  };

  /** x_{max} and S_{ABC} are names; any other subscript is an expression, so that F_{n-1+1} is F_n. */
  const readSubscript = (name: string): Expression => {
    take();
    const script = isOpen('{') ? tokens.slice(at + 1, closeOf(at)) : tokens.slice(at, at + 1);
    const isName =
      script.length === 0 ||
      script.some(({ type, text }) => type === 'word' || (type === 'command' && /^(max|min|mathbb)/.test(text))) ||
      (script.length > 1 && script.every(({ type }) => type === 'letters'));
    if (isName || script.some(({ text }) => text === ',' || text === '∞')) {
      at += script.length + (isOpen('{') ? 2 : 0);
      return { op: 'symbol', name: `${name}_${script.map(({ text }) => text).join('')}` };
    }
    const index = isOpen('{') ? nested(readGroup) : readOperand();
    // In a subscript e and i are letters.
    const asSymbol = (node: Expression): Expression =>
      node.op === 'constant' && node.name !== 'pi' ? { op: 'symbol', name: node.name } : node;
    return { op: 'indexed', name, index: rewrite(index, asSymbol) };
  };

  const readCommand = (): Expression => {
    const token = take();
    const name = token.text;
    const fn = FUNCTIONS.get(name) ?? (name === 'lg' ? 'log' : undefined);
    if (fn && !(fn === 'gamma' && !isOpen('('))) return readFunction(fn, name === 'lg' ? number(10) : undefined);
    switch (name) {
      case 'pi':
        return { op: 'constant', name: 'pi' };
      case 'cis': {
        const [angle = fail()] = readFunctionArguments();
        return call('exp', product({ op: 'constant', name: 'i' }, angle));
      }
      case 'frac':
        return quotient(readArgument(), readArgument());
      case 'binom':
        return call('binomial', readArgument(), readArgument());
      case 'cbrt':
        return call('root', readOperand(), number(3));
      case 'sqrt': {
        const degree = isOpen('[') ? readGroup() : number(2);
        return call('root', readOperand(), degree);
      }
      case 'sum':
      case 'prod':
        return readSeries(name === 'sum' ? 'sum' : 'product');
      case 'int':
      case 'lim':
        return fail();
      default:
    }
    if (ACCENTS.includes(name)) {
      const conjugate = name === 'overline' || name === 'bar' ? readConjugate() : undefined;
      if (conjugate) return conjugate;
      const argument = isOpen('{') ? tokens.slice(at, closeOf(at) + 1) : tokens.slice(at, at + 1);
      at += argument.length;
      return { op: 'symbol', name: `${name} ${argument.map(({ text }) => text).join('')}` };
    }
    if (MARKS.includes(name)) {
      let object = '';
      while (peek()?.type === 'letters') object += take().text;
      return { op: 'symbol', name: `${name} ${object}` };
    }
    at--;
    return readSymbol();
  };

  /** \overline{3+4i}; over a letter, a segment or the like the line is part of a name. */
  const readConjugate = (): Expression | undefined => {
    const inside = isOpen('{') ? tokens.slice(at + 1, closeOf(at)) : [];
    if (!inside.some(({ type, text }) => type === 'op' && (text === '+' || text === '-'))) return undefined;
    return call('conj', readGroup());
  };

  const readFunction = (name: FunctionName, givenBase?: Expression): Expression => {
    let base = givenBase;
    let exponent: Expression | undefined;
    for (;;) {
      if (name === 'log' && isOp('_')) {
        take();
        base = readLogBase();
      } else if (isOp('^') && !exponent) {
        take();
        exponent = readScript();
      } else break;
    }
    const args = readFunctionArguments();
    const inverse = exponent?.op === 'negative' && exponent.args[0].op === 'number' && exponent.args[0].value.n === 1n;
    if (inverse && INVERSES[name]) return call(INVERSES[name], ...args);
    const value = call(name, ...args, ...(base ? [base] : []));
    return exponent ? power(value, exponent) : value;
  };

  /** \log_28 is the logarithm of 8 to the base 2, as TeX sets it. */
  const readLogBase = (): Expression => {
    const token = peek();
    const next = peek(1);
    const glued = token?.type === 'number' && token.text.length > 1 && (!next || next.type === 'op');
    return glued ? readArgument() : readOperand();
  };

  const readFunctionArguments = (): Expression[] => {
    if (isOpen('(') || isOpen('{') || isOpen('[')) {
      const close = closeOf(at);
      const commas = tokens.slice(at, close).some(({ type, text }) => type === 'op' && text === ',');
      return commas ? readArgumentList() : [nested(readGroup)];
    }
    if (isOp('-')) {
      take();
      return [negative(nested(readBareArgument))];
    }
    return [nested(readBareArgument)];
  };

  const readArgumentList = (): Expression[] => {
    take();
    const args = [readSum()];
    while (takeOp(',')) args.push(readSum());
    if (take().type !== 'close') fail();
    return args;
  };

  const readBareArgument = (): Expression => {
    const factors = [readPostfix()];
    for (;;) {
      const token = peek();
      const startsNext =
        !token ||
        (token.type === 'command' && (FUNCTIONS.has(token.text) || token.text === 'lg')) ||
        (token.type === 'open' && token.text !== '{') ||
        // \sin\theta e^{x} is a product of two functions.
        (token.text === 'e' && isOp('^', 1));
      if (startsNext || !startsOperand() || token.type === 'number') break;
      factors.push(readPostfix());
    }
    return factors.length === 1 ? (factors[0] as Expression) : product(...factors);
  };

  /** \sum_{k=0}^{n} a_k b_k: the body reaches to the next + or −. */
  const readSeries = (kind: 'sum' | 'product'): Expression => {
    if (!takeOp('_') || !isOpen('{')) return fail();
    take();
    const index = take();
    if (index.type !== 'letters' || !takeOp('=')) return fail();
    const from = readSum();
    if (take().type !== 'close' || !takeOp('^')) return fail();
    const to = readScript();
    bound.push(index.text);
    const body = readTerm();
    bound.pop();
    return { op: 'series', kind, index: index.text, from, to, body };
  };

  const expression = readContent();
  return at === tokens.length ? expression : fail();
}

function degrees(of: Expression): Expression {
  return quotient(product(of, { op: 'constant', name: 'pi' }), number(180));
}

/** The value of a number token: 12, 0.5, 1.5e-3, or with repeating digits. */
function literal(token: Token): Expression {
  if (token.type !== 'number') return fail();
  const [mantissa = '', exponentText = '0'] = token.text.split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const exponent = Number(exponentText);
  const digits = BigInt(`0${whole}${fraction}`);
  if (token.repeating) {
    // 0.1(6) = (16 − 1) / 90
    const all = BigInt(`0${whole}${fraction}${token.repeating}`);
    const d = 10n ** BigInt(fraction.length) * (10n ** BigInt(token.repeating.length) - 1n);
    return { op: 'number', value: { n: all - digits, d } };
  }
  if (Math.abs(exponent) > MAX_WRITTEN_EXPONENT) {
    const scale = power(number(10), number(BigInt(exponentText.replace('+', ''))));
    return product({ op: 'number', value: { n: digits, d: 10n ** BigInt(fraction.length) } }, scale);
  }
  const places = fraction.length - exponent;
  const value = places > 0 ? { n: digits, d: 10n ** BigInt(places) } : { n: digits * 10n ** BigInt(-places), d: 1n };
  if (mantissa === token.text && fraction === '') return { op: 'number', value };
  const significant = `${whole}${fraction}`.replace(/^0+/, '').length;
  return { op: 'number', value, decimal: { digits: significant, places, trailing: token.trailing ?? false } };
}
