import {
  BRACKETS,
  commandName,
  DECORATED,
  DROPPED_WITH_ARGUMENT,
  FONTS,
  OPERATORS,
  SPACING,
  TEXTS,
  VARIANTS,
} from './latex-commands.js';
import { closingBrace } from './tokens.js';

/**
 * Answer text to tokens. The lexer hides how LaTeX looks: spacing, sizes and fonts are gone, relations and brackets
 * have one spelling each, `\text{…}` becomes words, and a command glued to the letters after it (`\pir`, common in
 * data whose spaces were stripped) is cut at the longest command name known.
 */
export interface Token {
  readonly type: 'number' | 'letters' | 'word' | 'command' | 'op' | 'open' | 'close';
  /**
   * The digits of a number; a run of letters; a word of `\text{…}`; a command's name without backslash; an operator;
   * a bracket: ( [ { or, for set braces and the like, a command's name.
   */
  readonly text: string;
  /** White space (also LaTeX's) stood before it. */
  readonly spaced: boolean;
  /** For a number: the digits that repeat for ever after those of `text`, and whether it trails off in dots. */
  readonly repeating?: string;
  readonly trailing?: boolean;
}

/** Longer answers are compared as text only. The longest in the data has 300 characters. */
export const MAX_TOKENS = 1_000;

// Numbers, most special form first. Group separators are a comma, {,} or a space, plain or LaTeX's thin ones.
const REPEATING = /(\d*\.\d*)\\(?:overline|bar|dot|overset)\s*(?:\{(\d+)\}|(\d))/y;
const GROUPED = /\d{1,3}(?:(?:\{,\}|,\\!|\\[,;: !]|~|,| )\d{3})+(?!\d|\{?,\}?\d| \d)(?:\.\d+)?/y;
const PLAIN = /\d+(?:\.\d+)?|\.\d+/y;
const EXPONENT = /[eE][+-]?\d+(?![\d.])/y;
const DOTS = /\s*(?:\.\.\.|\\ldots|\\dots|\\cdots)(?![a-zA-Z])/y;

/** The tokens of an answer, or undefined past `MAX_TOKENS`. Any text is accepted: what is no mathematics becomes words. */
export function lex(text: string): Token[] | undefined {
  const tokens: Token[] = [];
  return readTokens(text, { words: false, nesting: 0, brackets: 0 }, tokens) ? tokens : undefined;
}

interface Mode {
  /** Inside `\text{…}`: letters are words. */
  readonly words: boolean;
  /** Commands around this text. */
  readonly nesting: number;
  /** Brackets around this text, in which a comma always separates. */
  readonly brackets: number;
}

/** Nested `\text{\text{…}}` deeper than this is no answer. */
const MAX_TEXT_DEPTH = 8;

function readTokens(text: string, mode: Mode, tokens: Token[]): boolean {
  let at = 0;
  let depth = mode.brackets;
  let spaced = true;

  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  const push = (type: Token['type'], content: string, extra?: Partial<Token>) => {
    tokens.push({ type, text: content, spaced, ...extra });
    spaced = false;
  };
  const pushBracket = (type: 'open' | 'close', content: string) => {
    depth = Math.max(0, depth + (type === 'open' ? 1 : -1));
    push(type, content);
  };
  /** Reads `{…}` or one character at the cursor, as the argument of a command. */
  const argument = (): string => {
    const space = match(/\s*/y);
    at += space?.[0].length ?? 0;
    if (text[at] !== '{') {
      const one = match(/\\[a-zA-Z]+|[^}]/y)?.[0] ?? '';
      at += one.length;
      return one;
    }
    const close = closingBrace(text, at);
    const end = close < 0 ? text.length : close;
    const content = text.slice(at + 1, end);
    at = end + 1;
    return content;
  };

  const readNumber = (): boolean => {
    const repeating = match(REPEATING);
    if (repeating) {
      at += repeating[0].length;
      push('number', repeating[1] ?? '', { repeating: repeating[2] ?? repeating[3] ?? '' });
      return true;
    }
    const grouped = depth === 0 && !/[\d,]$/.test(text.slice(Math.max(0, at - 1), at)) ? match(GROUPED) : null;
    const found = grouped ?? match(PLAIN);
    if (!found) return false;
    at += found[0].length;
    let digits = grouped ? found[0].replace(/[^\d.]/g, '') : found[0];
    const isSubscript = tokens.at(-1)?.text === '_';
    const exponent = isSubscript ? null : match(EXPONENT);
    if (exponent) {
      digits += exponent[0].toLowerCase();
      at += exponent[0].length;
    }
    const dots = digits.includes('.') ? match(DOTS) : null;
    if (dots) at += dots[0].length;
    push('number', digits, dots ? { trailing: true } : undefined);
    return true;
  };

  const readCommand = (): boolean => {
    const letters = match(/\\([a-zA-Z]+)/y)?.[1];
    if (letters === undefined) {
      const escaped = text[at + 1] ?? '';
      at += 2;
      if (escaped === '\\') push('op', '\\\\');
      else if (escaped === '{') pushBracket('open', 'lbrace');
      else if (escaped === '}') pushBracket('close', 'rbrace');
      else if (escaped === '|') push('op', '|');
      else if ('%$&#_'.includes(escaped) && escaped !== '') push('op', escaped);
      else spaced = true;
      return true;
    }
    const known = commandName(letters);
    const name = VARIANTS.get(known) ?? known;
    at += known.length + 1;
    const isNested = FONTS.has(name) || TEXTS.has(name) || DECORATED.has(name);
    if (isNested && mode.nesting >= MAX_TEXT_DEPTH) return false;
    const bracket = BRACKETS.get(name);
    const operator = OPERATORS.get(name);
    if (SPACING.has(name)) {
      spaced = true;
      // The invisible delimiter of `\left.` and `\right.`
      if ((name === 'left' || name === 'right') && text[at] === '.') at++;
    } else if (DROPPED_WITH_ARGUMENT.has(name)) {
      argument();
    } else if (DECORATED.has(name)) {
      argument();
      if (!readTokens(argument(), { words: false, nesting: mode.nesting + 1, brackets: depth }, tokens)) return false;
    } else if (FONTS.has(name) || TEXTS.has(name)) {
      const words = TEXTS.has(name);
      if (text[at] === '*') at++;
      // Kept in braces where it is an exponent or subscript: x^\text{max}
      const script = tokens.at(-1)?.text === '^' || tokens.at(-1)?.text === '_';
      if (script) push('open', '{');
      if (!readTokens(argument(), { words, nesting: mode.nesting + 1, brackets: depth }, tokens)) return false;
      if (script) push('close', '}');
      spaced = words;
    } else if (name === 'not') {
      const negated = match(/\s*(?:=|\\in)/y);
      at += negated?.[0].length ?? 0;
      if (negated) push('op', negated[0].includes('=') ? '!=' : '∉');
    } else if (name === 'begin' || name === 'end') {
      const environment = argument().replace('*', '');
      if (name === 'begin' && environment === 'array') argument();
      push(name === 'begin' ? 'open' : 'close', environment);
    } else if (name === 'mathbb') {
      push('command', `mathbb ${argument().trim()}`);
    } else if (bracket) {
      pushBracket(bracket, name);
    } else if (operator) {
      push('op', operator);
    } else {
      push('command', name);
    }
    return true;
  };

  while (at < text.length) {
    if (tokens.length > MAX_TOKENS) return false;
    const character = text[at] ?? '';
    if (/\s|~/.test(character)) {
      spaced = true;
      at++;
    } else if (/[\d.]/.test(character) && readNumber()) {
    } else if (character === '\\') {
      if (!readCommand()) return false;
    } else if (/\p{L}/u.test(character)) {
      const run = match(mode.words ? /[\p{L}\p{M}]+/uy : /[a-zA-Z]+|[\p{L}\p{M}]+/uy)?.[0] ?? character;
      at += run.length;
      push(mode.words && run.length > 1 ? 'word' : 'letters', run);
    } else if ('([{'.includes(character)) {
      at++;
      // A brace that is an argument (of \frac, of ^) is no list: 1,000 keeps its comma there.
      if (character === '{' && at > 1) push('open', character);
      else pushBracket('open', character);
    } else if (')]}'.includes(character)) {
      at++;
      if (character === '}') push('close', character);
      else pushBracket('close', character);
    } else {
      // "5!=120" is a factorial, "x != 2" is not.
      const symbol = match(spaced ? /<=|>=|!=|=<|==|./suy : /<=|>=|=<|==|./suy)?.[0] ?? character;
      at += symbol.length;
      push('op', symbol === '==' ? '=' : symbol === '=<' ? '<=' : symbol);
    }
  }
  return true;
}
