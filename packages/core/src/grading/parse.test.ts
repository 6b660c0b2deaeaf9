import { describe, expect, it } from 'vitest';
import { createBudget } from './budget.js';
import { canonicalKey } from './expression.js';
import { lex } from './lex.js';
import { MAX_DEPTH, parseExpression } from './parse.js';

/** The tree of a text, written out in full. */
function tree(text: string): string | undefined {
  const expression = parseExpression(lex(text) ?? [], createBudget());
  return expression && canonicalKey(expression);
}

describe('parseExpression reads alike', () => {
  it.each([
    ['\\frac12', '\\frac{1}{2}'],
    ['\\frac1{12}', '\\frac{1}{12}'],
    ['\\frac ab', '\\frac{a}{b}'],
    ['\\frac12\\frac34', '\\frac{1}{2}\\cdot\\frac{3}{4}'],
    ['\\sqrt12', '\\sqrt{12}'],
    ['\\sqrt x y', '\\sqrt{x}y'],
    ['1\\frac{3}{4}', '1+\\frac{3}{4}'],
    ['1 3/4', '1+\\frac{3}{4}'],
    ['2\\frac{x}{4}', '2\\cdot\\frac{x}{4}'],
    ['x^2\\frac{1}{3}', 'x^{2}\\cdot\\frac{1}{3}'],
    ['-x^2', '-(x^2)'],
    ['2^3^2', '2^{(3^2)}'],
    ['a/bc', '(a/b)c'],
    ['3!^2', '(3!)^2'],
    ['\\sin 2x\\cos x', '(\\sin(2x))(\\cos(x))'],
    ['\\sin^2 x', '(\\sin x)^2'],
    ['\\sin x^2', '\\sin(x^2)'],
    ['\\sin^{-1}(x)', '\\arcsin x'],
    ['\\sin\\theta e^{x}', '(\\sin\\theta)(e^x)'],
    ['\\log_28', '\\log_{2}(8)'],
    ['\\ln\\frac{a}{b}+1', '\\ln(\\frac{a}{b})+1'],
    ['2sin(x)', '2\\sin(x)'],
    ['2\\pir', '2\\pi r'],
    ['a\\cdotb', 'ab'],
    ['3 x 10^8', '3\\cdot 10^8'],
    ['{5 \\choose 2}', '\\binom{5}{2}'],
    ['1010_2', '10'],
    ['\\text{FF}_{16}', '255'],
    ['C_1', 'C_{1}'],
    ['12^{\\mathrm{}}', '12'],
    ['||x|-1|', '\\left|\\left|x\\right|-1\\right|'],
  ])('%s and %s', (a, b) => {
    expect(tree(a)).toBe(tree(b));
    expect(tree(a)).toBeDefined();
  });
});

describe('parseExpression takes for no expression', () => {
  it.each(['', '\\frac{35}{}', '2 3', '(1', '1)', '1+', '\\sqrt', '\\int x', '|x', '{1,2}', '19_2', '\\sum_{k} k'])(
    '%s',
    (text) => {
      expect(tree(text)).toBeUndefined();
    },
  );

  it('anything nested too deep', () => {
    const nested = (levels: number) => `${'('.repeat(levels)}1${')'.repeat(levels)}`;
    expect(tree(nested(10))).toBe(tree('1'));
    expect(tree(nested(MAX_DEPTH + 1))).toBeUndefined();
  });
});
