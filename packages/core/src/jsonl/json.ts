import { randomUUID } from 'node:crypto';
import { ScorerError } from '../errors/index.js';

/** With the u flag a pair is one character, so that only half a pair matches. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** As values: not inside a word or number, not as a key. */
const BARE_NAN = /(?<![\w.])NaN(?!\w|\s*:)/g;
const BARE_INFINITY = /(?<![\w.])Infinity(?!\w|\s*:)/g;

/**
 * The value of a JSON text; `NaN`, `Infinity` and `-Infinity` are read as Python's json module reads and writes them.
 * @throws ScorerError `NOT_JSON`; `LONE_SURROGATE` for a string with half a character (`"\ud800"`), which no UTF-8
 * file and no tokenizer can hold
 */
export function parseJson(text: string): unknown {
  const value = parse(text);
  // A search for a word is many times faster than a pattern, and this one goes over every byte of every file.
  if ((text.includes('\\ud') || text.includes('\\uD')) && holdsLoneSurrogate(value)) {
    throw new ScorerError({ code: 'LONE_SURROGATE', what: 'a string holds half a surrogate pair' });
  }
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const value = parseWithNonFinite(text);
    if (value !== undefined) return value;
    throw new ScorerError({ code: 'NOT_JSON', what: `not valid JSON (${messageOf(error)})`, cause: error });
  }
}

/** The value of a text that is JSON but for `NaN` and `Infinity`; undefined where it is not. */
function parseWithNonFinite(text: string): unknown {
  // No number of JSON stands for NaN, so a string that the text can't hold stands in for it.
  const nan = randomUUID();
  const parts = splitAtStrings(text);
  const isCode = (i: number): boolean => i % 2 === 0;
  if (!parts.some((part, i) => isCode(i) && /NaN|Infinity/.test(part))) return undefined;
  const replaced = parts.map((part, i) =>
    isCode(i) ? part.replace(BARE_NAN, `"${nan}"`).replace(BARE_INFINITY, '1e999') : part,
  );
  try {
    return JSON.parse(replaced.join(''), (_, value: unknown) => (value === nan ? Number.NaN : value));
  } catch {
    return undefined;
  }
}

/** The text in pieces: between strings, a string, between strings, … Joined they are the text. */
function splitAtStrings(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let open = text.indexOf('"'); open !== -1; open = text.indexOf('"', start)) {
    let close = open + 1;
    while (close < text.length && text[close] !== '"') close += text[close] === '\\' ? 2 : 1;
    parts.push(text.slice(start, open), text.slice(open, close + 1));
    start = close + 1;
  }
  parts.push(text.slice(start));
  return parts;
}

function holdsLoneSurrogate(root: unknown): boolean {
  // A list of what is left to visit, not a recursion: depth is the input's choice.
  const left = [root];
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value === 'string') {
      if (LONE_SURROGATE.test(value)) return true;
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) left.push(key, item);
    }
  }
  return false;
}

/**
 * One line of JSON, without the newline, as Python's `json.dumps(value, ensure_ascii=False)` writes it: `", "` and
 * `": "` between items, NaN and Infinity as such. Half a surrogate pair is kept as its escape, `\udXXX`, so that the
 * line is valid UTF-8. Numbers are written as JavaScript does (1.0 is `1`). Fields that are undefined are left out.
 */
export function formatJsonLine(value: unknown): string {
  if (typeof value === 'number') return Number.isFinite(value) ? JSON.stringify(value) : String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(formatJsonLine).join(', ')}]`;
  const fields = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${fields.map(([key, item]) => `${JSON.stringify(key)}: ${formatJsonLine(item)}`).join(', ')}}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
