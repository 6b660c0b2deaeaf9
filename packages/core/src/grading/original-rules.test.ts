import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gradeOriginal, type OriginalRule } from './original-rules.js';

describe('gradeOriginal', () => {
  it.each<[string, string, boolean, OriginalRule]>([
    ['10007', '10008', true, 'number'],
    ['50', '5000', true, 'number'],
    ['50', '0.5', true, 'number'],
    ['7', '8', false, 'number'],
    ['1,000', '1000.05', true, 'number'],
    ['12.5\\%', '0.125', true, 'number'],
    ['\\text{Yes}', ' yes', true, 'text'],
    ['\\text{E}', 'd', false, 'letter'],
    ['The answer is B', 'B', true, 'letter'],
    ['[1,2]', '(1,2)', true, 'elements'],
    ['(1,2,3)', '1,2,3', true, 'brackets'],
    ['\\begin{pmatrix}1\\\\2\\end{pmatrix}', '\\begin{pmatrix}1.0\\\\2\\end{pmatrix}', true, 'matrix'],
    ['x=5', '5', true, 'equation'],
    ['x+y=2', '2x+2y=4', true, 'symbolic'],
    ['(x+1)^2', 'x^2+2x+1', true, 'symbolic'],
    ['\\frac{355}{113}', '\\pi', true, 'tolerance'],
    ['\\{1,2\\}', '\\{2,1\\}', false, 'symbolic'],
    ['', '5', false, 'text'],
  ])('says of %s for %s: %s, by the rule %s', (answer, truth, equal, rule) => {
    expect(gradeOriginal(answer, truth)).toEqual({ equal, rule });
  });

  const sharedFolder = process.env.SCORER_SHARED ?? join(import.meta.dirname, '../../../../../shared');
  const sharedFile = join(sharedFolder, 'grading/pairs.jsonl');
  it.skipIf(!existsSync(sharedFile))(
    'agrees with at least 92 % of what the original said of the shared pairs (skipped where shared/grading is missing)',
    () => {
      const pairs = readFileSync(sharedFile, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line): { a: string; b: string; seed: boolean | string } => JSON.parse(line))
        .filter(({ seed }) => typeof seed === 'boolean');
      const agreed = pairs.filter(({ a, b, seed }) => gradeOriginal(a, b).equal === seed);
      expect(agreed.length / pairs.length).toBeGreaterThanOrEqual(0.92);
    },
  );

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), (a, b) => {
        gradeOriginal(a, b);
      }),
    );
  });
});
