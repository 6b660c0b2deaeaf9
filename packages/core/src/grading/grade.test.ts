import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_STEPS } from './budget.js';
import { grade, gradeWithin, MAX_LENGTH, type Rule } from './grade.js';

interface Pair {
  a: string;
  b: string;
  equal: boolean;
}

/** Pairs on which the grader disagrees with the table, either way round. */
function disagreements(pairs: readonly Pair[]): Pair[] {
  return pairs.filter(({ a, b, equal }) => grade(a, b).equal !== equal || grade(b, a).equal !== equal);
}

const ownPairs: Pair[] = readFileSync(join(import.meta.dirname, 'fixtures/pairs.tsv'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => {
    const [sign, a = '', b = ''] = line.split('\t');
    return { a, b, equal: sign === '=' };
  });

describe('grade', () => {
  it('agrees with every pair of our own table', () => {
    expect(ownPairs.length).toBeGreaterThan(800);
    expect(disagreements(ownPairs)).toEqual([]);
  });

  const sharedFolder = process.env.SCORER_SHARED ?? join(import.meta.dirname, '../../../../../shared');
  const sharedFile = join(sharedFolder, 'grading/pairs.jsonl');
  it.skipIf(!existsSync(sharedFile))(
    'agrees with at least 98 % of the shared truth table (skipped where shared/grading is missing)',
    () => {
      const pairs = readFileSync(sharedFile, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line): Pair => JSON.parse(line));
      const wrong = disagreements(pairs);
      expect(1 - wrong.length / pairs.length).toBeGreaterThanOrEqual(0.98);
      // The one thing a grader of integers may never do.
      const isInteger = (text: string) => /^-?\d+$/.test(text);
      expect(wrong.filter(({ a, b }) => isInteger(a) && isInteger(b))).toEqual([]);
    },
  );

  it.each<[string, string, boolean, Rule]>([
    ['42', '42', true, 'identical'],
    ['', '5', false, 'empty'],
    ['\\left( 3, 4 \\right)', '(3,4)', true, 'typesetting'],
    ['10007', '10008', false, 'exact'],
    ['(x+1)^2', 'x^2+2x+1', true, 'residue'],
    ['2^{10^9}', '2^{10^9}+1', false, 'residue'],
    ['\\sin 2x', '2\\sin x\\cos x', true, 'numeric'],
    ['100000000!', '100000001!', false, 'structure'],
    ['0.33333333', '\\frac13', true, 'rounded'],
    ['Ce^{-x}', 'ce^{-x}', true, 'constants'],
    ['\\log 100', '2', true, 'log10'],
    ['2\\text{ m}', '200\\text{ cm}', true, 'unit'],
    ['50\\%', '\\frac12', true, 'percent'],
    ['90^\\circ', '\\frac{\\pi}{2}', true, 'degrees'],
    ['(C)', '\\text{C}', true, 'choice'],
    ['\\text{Yes}', 'yes', true, 'words'],
    ['-\\infty', '\\infty', false, 'infinity'],
    ['(1,2)', '(2,1)', false, 'tuple'],
    ['1,2', '2,1', true, 'list'],
    ['\\{1,2\\}', '\\{2,1\\}', true, 'set'],
    ['1<x<3', '(1,3)', true, 'region'],
    ['\\begin{pmatrix}1\\\\2\\end{pmatrix}', '\\begin{pmatrix}1.0\\\\2\\end{pmatrix}', true, 'matrix'],
    ['2x+2y=4', 'x+y=2', true, 'equation'],
    ['x+y<1', '1>x+y', true, 'inequality'],
    ['3:4', '6:8', true, 'ratio'],
    ['12:05', '12:50', false, 'time'],
    ['(1,2)', 'yes', false, 'kind'],
    ['\\int x', '\\int y', false, 'written'],

    ['\\sum_{k=1}^{1000}\\sum_{j=1}^{1000}\\frac{1}{kj}', '1', false, 'too-hard'],
  ])('says of %s and %s: %s, by the rule %s', (a, b, equal, rule) => {
    expect(grade(a, b)).toEqual({ equal, rule });
  });

  it(`compares answers of more than ${MAX_LENGTH} characters as text`, () => {
    const long = '1'.repeat(MAX_LENGTH + 1);
    expect(grade(long, `${long}.0`)).toEqual({ equal: false, rule: 'too-long' });
    expect(grade(long, ` ${long}\n`)).toEqual({ equal: true, rule: 'too-long' });
  });
});

describe('the work for one pair is bounded', () => {
  const deep = (open: string, close: string, levels: number) => `${open.repeat(levels)}1${close.repeat(levels)}`;
  const range = (count: number, item: (k: number) => string) => Array.from({ length: count }, (_, k) => item(k));

  it.each<[string, string, string, boolean]>([
    ['towers of powers', '10^{10^{10^{10^{10}}}}', '10^{10^{10^{10^{11}}}}', false],
    ['equal towers of powers', '2^{3^{4^{5^{6}}}}+1', '1+2^{3^{4^{5^{6}}}}', true],
    ['fifty levels of powers', deep('9^{', '}', 50), '9', false],
    ['a chain of powers', `2${'^3'.repeat(400)}`, `2${'^3'.repeat(399)}`, false],
    ['huge factorials', '(10^9)!', '(10^9+1)!', false],
    ['factorials of factorials', '(((9!)!)!)!', '9', false],
    ['numbers of 2,900 digits', '9'.repeat(2_900), `${'9'.repeat(2_899)}8`, false],
    ['scientific notation without end', `1e${'9'.repeat(2_000)}`, '1', false],
    ['deep brackets', deep('(', ')', 450), '2', false],
    ['deep fractions', `${'\\frac{1}{'.repeat(200)}x${'}'.repeat(200)}`, 'x', false],
    ['deep roots', deep('\\sqrt{', '}', 150), '2', false],
    ['unbalanced braces', '{'.repeat(900), '}'.repeat(900), false],
    ['a megabyte of digits', '1'.repeat(1e6), `${'1'.repeat(1e6 - 1)}2`, false],
    ['many fractions', range(150, (k) => `\\frac{1}{${k + 1}}`).join('+'), '7', false],
    ['sums within sums', '\\sum_{k=1}^{n}\\sum_{j=1}^{n}\\sum_{i=1}^{n}\\binom{n}{k}', 'n', false],
    ['long products', '\\prod_{k=1}^{1000}(k^3+1)', '5', false],
    ['large binomials', '\\binom{10^9}{10^8}', '\\binom{10^9}{10^8}+1', false],
    ['long lists', range(64, (k) => `\\sin ${k}x`).join(), range(64, (k) => `\\cos ${k}x`).join(), false],
    [
      'a set with hundreds of points taken out',
      `\\mathbb{R}\\setminus\\{${range(200, String).join()}\\}`,
      'x\\ne 1',
      false,
    ],
    ['names of object properties', '\\constructor', '__proto__', false],
    ['control characters and emoji', '\u0000😀\ud800', '\u0000😀', false],
  ])('for %s', (_, a, b, equal) => {
    const { grade: forward, steps } = gradeWithin(a, b, {});
    expect(forward.equal).toBe(equal);
    expect(gradeWithin(b, a, {}).grade.equal).toBe(equal);
    expect(steps).toBeLessThanOrEqual(MAX_STEPS);
  });

  it('and a smaller bound ends the comparison earlier', () => {
    expect(gradeWithin('\\sin 2x', '2\\sin x\\cos x', { maxSteps: 50 }).grade).toEqual({
      equal: false,
      rule: 'too-hard',
    });
  });
});
