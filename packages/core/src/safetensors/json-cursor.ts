import { ScorerError } from '../errors/index.js';

/** Walks over JSON text and hands out what the caller expects next; anything else is a named error. */
export interface JsonCursor {
  /** Consumes `char` if it is next, whitespace aside. */
  accept(char: string): boolean;
  expect(char: string): void;
  /** The next value, which must be a string; undefined where it is something else. */
  string(): string | undefined;
  /** The next value, which must be an integer from 0 to 2^53 - 1, written without sign, fraction or exponent. */
  integer(): number | undefined;
  expectEnd(): void;
  /** @throws ScorerError `SAFETENSORS_NOT_JSON` */
  fail(expected: string): never;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const INTEGER = /(?:0|[1-9][0-9]*)(?![0-9.eE])/y;
const SPACE = /[ \t\n\r]*/y;
/** With the u flag a pair is one character, so that only half a pair matches. */
export const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * JSON.parse can't serve a header that nobody vouches for: of a key that stands twice it keeps the last, and it rounds
 * integers beyond 2^53. The header's grammar has a fixed depth, so a cursor is all that is needed.
 */
export function jsonCursor(text: string, where: string): JsonCursor {
  let position = 0;

  function skipSpace(): void {
    SPACE.lastIndex = position;
    SPACE.test(text);
    position = SPACE.lastIndex;
  }

  function fail(expected: string): never {
    const found = position < text.length ? JSON.stringify(text[position]) : 'the end';
    throw new ScorerError({
      code: 'SAFETENSORS_NOT_JSON',
      what: `the header is not the JSON that the format asks for: ${expected} expected at character ${position}, found ${found}`,
      where,
      hint: 'the file is damaged or no safetensors file',
    });
  }

  function accept(char: string): boolean {
    skipSpace();
    if (text[position] !== char) return false;
    position += 1;
    return true;
  }

  return {
    accept,
    fail,
    expect(char) {
      if (!accept(char)) fail(`"${char}"`);
    },
    string() {
      skipSpace();
      if (text.charCodeAt(position) !== QUOTE) return undefined;
      const start = position + 1;
      let escaped = false;
      for (position = start; ; position++) {
        const char = text.charCodeAt(position);
        if (char === QUOTE) break;
        if (char === BACKSLASH) {
          escaped = true;
          position += 1;
        }
        // Also at the end, where charCodeAt gives NaN.
        if (!(text.charCodeAt(position) >= 0x20)) fail('a closed string');
      }
      position += 1;
      if (!escaped) return text.slice(start, position - 1);
      try {
        const value = String(JSON.parse(text.slice(start - 1, position)));
        if (!LONE_SURROGATE.test(value)) return value;
      } catch {}
      return fail('a valid escape');
    },
    integer() {
      skipSpace();
      INTEGER.lastIndex = position;
      const digits = INTEGER.exec(text)?.[0];
      if (digits === undefined) return undefined;
      const value = Number(digits);
      if (!Number.isSafeInteger(value)) return undefined;
      position += digits.length;
      return value;
    },
    expectEnd() {
      skipSpace();
      if (position < text.length) fail('the end');
    },
  };
}
