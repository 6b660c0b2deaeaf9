import { type Budget, createBudget, StepLimitReached } from './budget.js';
import { grade, MAX_LENGTH, type Rule } from './grade.js';
import { parseExpression } from './parse.js';
import { tokensOf } from './structure.js';
import { createValue, realOf, sameValue, type Value } from './value.js';

/** What decided a grade by the original's rules. */
export type OriginalRule =
  /** The same text but for case and the space around it. */
  | 'text'
  /** Two single letters, or a choice A to E found in the answer. */
  | 'letter'
  /** Two numbers within a factor 1 ± 1e-4, or that after one of them was divided by or multiplied with 100. */
  | 'number'
  /** The same text without brackets and braces. */
  | 'brackets'
  /** Element by element. */
  | 'elements'
  | 'matrix'
  | 'equation'
  /** Two expressions: ours, where the original asks a computer algebra system. */
  | 'symbolic'
  /** Two expressions with real values within a factor 1 ± 1e-4. */
  | 'tolerance'
  | 'too-hard';

export interface OriginalGrade {
  readonly equal: boolean;
  readonly rule: OriginalRule;
}

/** Relative difference up to which the original calls two numbers equal. */
const RELATIVE_TOLERANCE = 1e-4;
/** Lists within lists are taken apart this often. */
const MAX_RECURSION = 16;

const yes = (rule: OriginalRule): OriginalGrade => ({ equal: true, rule });
const no = (rule: OriginalRule): OriginalGrade => ({ equal: false, rule });

/**
 * The grade by the rules of the STEP repository's pre-processing (`math_equal` of the MATH and Qwen2.5-Math graders):
 * its string rules, its tolerance (10007 equals 10008) and its factor of 100 (50 equals 5000) as they are. Only what it
 * hands to sympy is done by our own comparison of expressions.
 *
 * `answer` is the extracted answer, `groundTruth` what it should be; the rules are not symmetric. Never throws.
 */
export function gradeOriginal(answer: string, groundTruth: string): OriginalGrade {
  const unwrapped = withoutText(answer);
  const isLetter = (text: string) => /^\p{L}$/u.test(text);
  if (isLetter(unwrapped) && isLetter(groundTruth)) {
    return { equal: unwrapped.toLowerCase() === groundTruth.toLowerCase(), rule: 'letter' };
  }
  try {
    return mathEqual(unwrapped, groundTruth, { budget: createBudget(), depth: 0 });
  } catch (error) {
    if (error instanceof StepLimitReached) return no('too-hard');
    throw error;
  }
}

interface Limits {
  readonly budget: Budget;
  readonly depth: number;
}

/** `\text{…}` up to the next closing brace, again and again. */
function withoutText(text: string): string {
  let result = text;
  for (let start = result.indexOf('\\text{'); start >= 0; start = result.indexOf('\\text{', start)) {
    const end = result.indexOf('}', start);
    if (end < 0) break;
    result = result.slice(0, start) + result.slice(start + '\\text{'.length, end) + result.slice(end + 1);
  }
  return result;
}

function mathEqual(prediction: string, reference: string, limits: Limits): OriginalGrade {
  const [answer, truth] = [prediction.trim(), reference.trim()];
  if (answer.toLowerCase() === truth.toLowerCase()) return yes('text');
  if (/^[A-E]$/.test(reference) && choiceIn(prediction) === reference) return yes('letter');
  const [x, y] = [digits(prediction), digits(reference)];
  if (x !== undefined && y !== undefined) {
    return { equal: [y / 100, y, y * 100].some((candidate) => isClose(x, candidate)), rule: 'number' };
  }
  if (answer === '' || answer.length > MAX_LENGTH || truth.length > MAX_LENGTH) return no('text');
  if (limits.depth > MAX_RECURSION) return no('too-hard');
  const same = (a: string, b: string) => mathEqual(a, b, { ...limits, depth: limits.depth + 1 }).equal;

  const target = answer.includes('pmatrix') && !truth.includes('pmatrix') ? bracesToMatrix(truth) : truth;
  if (withoutBrackets(answer, target) === withoutBrackets(target, answer)) return yes('brackets');
  if (isBracketed(answer) && isBracketed(target)) {
    const [left, right] = [answer.slice(1, -1).split(','), target.slice(1, -1).split(',')];
    if (left.length === right.length && left.every((item, at) => same(item, right[at] ?? ''))) return yes('elements');
  }
  const [rows, targetRows] = [matrixRows(answer), matrixRows(target)];
  if (rows && targetRows && rows.length === targetRows.length) {
    const equalRows = rows.every((row, at) => {
      const other = targetRows[at] ?? [];
      return row.length === other.length && row.every((cell, column) => same(cell, other[column] ?? ''));
    });
    if (equalRows) return yes('matrix');
  }
  const [sides, targetSides] = [answer.split('='), target.split('=')];
  if (sides.length === 2 && targetSides.length === 2) {
    const [a, b] = [oneSided(sides), oneSided(targetSides)];
    if (symbolicEqual(a, b, limits).equal || symbolicEqual(`-(${a})`, b, limits).equal) return yes('equation');
  } else if (sides.length === 2 && isShort(sides) && targetSides.length === 1) {
    if (same(sides[1] ?? '', target)) return yes('equation');
  } else if (targetSides.length === 2 && isShort(targetSides) && sides.length === 1) {
    if (same(answer, targetSides[1] ?? '')) return yes('equation');
  }
  return symbolicEqual(answer, target, limits);
}

/** What Python's float() reads after the commas are gone, and a percentage as its hundredth. */
function digits(text: string): number | undefined {
  const plain = text.replaceAll(',', '');
  const percent = /^(.*?)\\?%$/s.exec(plain);
  return pythonFloat(plain) ?? (percent ? dividedBy100(pythonFloat(percent[1] ?? '')) : undefined);
}

const dividedBy100 = (value: number | undefined): number | undefined => (value === undefined ? undefined : value / 100);

function pythonFloat(text: string): number | undefined {
  const plain = text.trim().toLowerCase();
  if (/^[+-]?(?:inf|infinity)$/.test(plain)) return plain.startsWith('-') ? -Infinity : Infinity;
  return /^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+)?$/.test(plain)
    ? Number(plain.replaceAll('_', ''))
    : undefined;
}

function isClose(a: number, b: number): boolean {
  return a === b || Math.abs(a - b) <= RELATIVE_TOLERANCE * Math.max(Math.abs(a), Math.abs(b));
}

/** The last letter A to E that stands alone. */
function choiceIn(text: string): string | undefined {
  return text
    .toUpperCase()
    .match(/(?<!\w)[A-E](?!\w)/g)
    ?.at(-1);
}

/** Lower case without braces and round brackets; square ones go too where the other side has no round ones, and so on. */
function withoutBrackets(text: string, other: string): string {
  const outer =
    (text.startsWith('[') && text.endsWith(']') && !other.startsWith('(')) ||
    (text.startsWith('(') && text.endsWith(')') && !other.startsWith('['));
  const bare = outer ? text.replace(/^[[\]()]+|[[\]()]+$/g, '') : text;
  return bare.replace(/[{}()]/g, '').toLowerCase();
}

const isBracketed = (text: string): boolean => /^[([].+[)\]]/s.test(text);

/** {1,2} as the column that the original makes of it. */
function bracesToMatrix(text: string): string {
  const braces = text.match(/\{.*,.*\}/g) ?? [];
  return braces
    .map((match) => `\\begin{pmatrix}${match.replace(/^[{}]+|[{}]+$/g, '').replaceAll(',', '\\\\')}\\end{pmatrix}`)
    .join(', ');
}

function matrixRows(text: string): string[][] | undefined {
  const content = /^\\begin\{[pb]matrix\}(.*)\\end\{[pb]matrix\}$/s.exec(text)?.[1];
  const lines = content?.split('\\\\').map((line) => line.trim());
  return lines?.filter((line) => line !== '').map((line) => line.split('&'));
}

const oneSided = ([left = '', right = '']: readonly string[]): string => `${left.trim()} - (${right.trim()})`;
const isShort = ([left = '']: readonly string[]): boolean => left.trim().length <= 2;

/** Where the original asks sympy: our comparison of the two as expressions, then its tolerance on their values. */
function symbolicEqual(a: string, b: string, { budget }: Limits): OriginalGrade {
  const [left, right] = [readExpression(a, budget), readExpression(b, budget)];
  if (!left || !right) return { equal: sameRelation(a, b), rule: 'symbolic' };
  if (sameValue(left, right, budget).equal) return yes('symbolic');
  const [x, y] = [realOf(left, budget), realOf(right, budget)];
  return x !== undefined && y !== undefined && isClose(x, y) ? yes('tolerance') : no('symbolic');
}

/** Beside expressions sympy reads equations, inequalities and ratios; sets, lists, intervals and units it does not. */
function sameRelation(a: string, b: string): boolean {
  const { equal, rule } = grade(a, b);
  return equal && SYMPY_RULES.has(rule);
}
const SYMPY_RULES: ReadonlySet<Rule> = new Set(['typesetting', 'equation', 'inequality', 'matrix', 'ratio']);

function readExpression(text: string, budget: Budget): Value | undefined {
  const tokens = tokensOf(text);
  const expression = tokens && parseExpression(tokens, budget);
  return expression && createValue(expression);
}
