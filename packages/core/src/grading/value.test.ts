import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createBudget } from './budget.js';
import { isReal } from './complex.js';
import type { Expression } from './expression.js';
import { lex } from './lex.js';
import { evaluateNumeric } from './numeric.js';
import { parseExpression } from './parse.js';
import { agreePrecisely } from './precise.js';
import { createValue, isSolvedBy, proportion, realOf, sameValue } from './value.js';

function parse(text: string): Expression {
  const expression = parseExpression(lex(text) ?? [], createBudget());
  if (!expression) throw new Error(`not an expression: ${text}`);
  return expression;
}
const value = (text: string) => createValue(parse(text));

describe('sameValue', () => {
  it.each([
    ['2^{100}', '1267650600228229401496703205376', true, 'exact'],
    ['2^{100}', '1267650600228229401496703205375', false, 'exact'],
    ['\\frac{1}{3}+\\frac{1}{6}', '0.5', true, 'exact'],
    ['0.1\\overline{6}', '\\frac16', true, 'exact'],
    ['\\sum_{k=1}^{100} k', '5050', true, 'exact'],
    ['(x+y+z)^{30}', '(z+y+x)^{30}', true, 'residue'],
    ['1.0000001x', 'x', false, 'residue'],
    ['2^{10^9}+1', '2^{10^9}', false, 'residue'],
    ['2^{n+1}', '2\\cdot 2^n', true, 'residue'],
    ['(-1)^n', '1', false, 'residue'],
    ['|x|', 'x', false, 'numeric'],
    ['\\sqrt{x^2}', '|x|', true, 'numeric'],
    ['\\ln x^2', '2\\ln x', true, 'numeric'],
    ['\\frac{n!}{(n-1)!}', 'n', true, 'numeric'],
    ['\\sum_{k=1}^{n} k^2', '\\frac{n(n+1)(2n+1)}{6}', true, 'numeric'],
    ['e^{i\\pi}', '-1', true, 'numeric'],
    ['\\frac{355}{113}', '\\pi', false, 'numeric'],
    // Beyond doubles.
    ['\\sqrt{10^{20}+1}', '10^{10}', false, 'numeric'],
    ['e^{\\pi\\sqrt{163}}', '262537412640768744', false, 'numeric'],
    ['10^{10^{10^{10^{10}}}}', '10^{10^{10^{10^{11}}}}', false, 'structure'],
    ['\\frac{1}{0}', '\\frac{2}{0}', false, 'structure'],
  ])('of %s and %s is %s, by %s', (a, b, equal, rule) => {
    expect(sameValue(value(a), value(b), createBudget())).toEqual({ equal, rule });
  });
});

describe('the value of an expression', () => {
  const references: Record<string, { re: string; im: string }> = JSON.parse(
    readFileSync(join(import.meta.dirname, 'fixtures/values.json'), 'utf8'),
  );

  it.each(Object.entries(references))('%s is that of mpmath, within its own error bound', (text, { re, im }) => {
    const z = evaluateNumeric(parse(text), 0, createBudget());
    const distance = Math.hypot(z.re - Number(re), z.im - Number(im));
    expect(distance).toBeLessThanOrEqual(4 * z.err);
    expect(z.err).toBeLessThan(1e-9 * Math.max(1, Math.hypot(Number(re), Number(im))));
  });

  const real = Object.entries(references).filter(([, { im }]) => Number(im) === 0);
  it.each(real)('%s agrees with mpmath to 50 places, where it can be computed so', (text, { re }) => {
    const [expression, exact] = [parse(text), parse(re.replace(/e([+-]\d+)$/, '\\cdot 10^{$1}'))];
    const precise = agreePrecisely(expression, exact, createBudget());
    expect(precise ?? true).toBe(true);
  });

  it('is known to 50 places for roots, powers, logarithms and the trigonometric functions', () => {
    for (const text of ['\\sqrt{2}', '\\pi^e', '\\log_2 10', '\\sin(0.7310585786300049)', '\\arctan 239']) {
      const { re } = references[text] ?? { re: '' };
      expect(agreePrecisely(parse(text), parse(re), createBudget()), text).toBe(true);
      expect(agreePrecisely(parse(text), parse(`${re} + 10^{-50}`), createBudget()), text).toBe(false);
    }
  });

  it('has an error bound that grows where digits cancel', () => {
    const z = evaluateNumeric(parse('(\\pi+10^{9})-10^{9}'), 0, createBudget());
    expect(isReal(z)).toBe(true);
    expect(z.err).toBeGreaterThan(1e-8);
  });
});

describe('realOf', () => {
  it('is undefined for complex numbers and for expressions with variables', () => {
    expect(realOf(value('\\sqrt{2}'), createBudget())).toBeCloseTo(Math.SQRT2, 15);
    expect(realOf(value('1+i'), createBudget())).toBeUndefined();
    expect(realOf(value('x'), createBudget())).toBeUndefined();
  });
});

describe('equations', () => {
  it('are the same up to a constant factor, whose sign matters to inequalities', () => {
    expect(proportion(value('2x-4'), value('x-2'), createBudget())).toBe(1);
    expect(proportion(value('4-2x'), value('x-2'), createBudget())).toBe(-1);
    expect(proportion(value('x^2-4'), value('x-2'), createBudget())).toBeUndefined();
    expect(proportion(value('x-25169639'), value('x-25169640'), createBudget())).toBeUndefined();
  });

  it('are solved by their only solution', () => {
    expect(isSolvedBy(value('xy-1'), 'y', parse('\\frac{1}{x}'), createBudget())).toBe(true);
    expect(isSolvedBy(value('x^2-4'), 'x', parse('2'), createBudget())).toBe(false);
  });
});
