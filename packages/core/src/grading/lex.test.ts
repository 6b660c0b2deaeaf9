import { describe, expect, it } from 'vitest';
import { lex, MAX_TOKENS } from './lex.js';
import { normalise } from './normalise.js';

const texts = (text: string) => lex(normalise(text))?.map((token) => token.text);

describe('lex', () => {
  it.each<[string, string[]]>([
    ['1,234', ['1234']],
    ['1{,}234.5', ['1234.5']],
    ['1\\,234', ['1234']],
    ['1 000', ['1000']],
    ['12,34', ['12', ',', '34']],
    ['3,4,500', ['3', ',', '4', ',', '500']],
    ['(1,234)', ['(', '1', ',', '234', ')']],
    ['1.5e-3', ['1.5e-3']],
    ['2e^3', ['2', 'e', '^', '3']],
  ])('reads the numbers of %s', (text, tokens) => {
    expect(texts(text)).toEqual(tokens);
  });

  it.each<[string, string[]]>([
    ['\\left( \\dfrac{1}{2} \\right)', ['(', 'frac', '{', '1', '}', '{', '2', '}', ')']],
    ['$\\boxed{\\mathbf{42}}$.', ['42']],
    ['$\\mathbf{42}$.', ['42', '.']],
    ['\\[ x \\geqslant 5 \\]', ['x', '>=', '5']],
    ['\\lambdakT', ['lambda', 'kT']],
    ['35.06\\,\\quad', ['35.06']],
    ['\\textcolor{red}{7}', ['7']],
    ['x²+√5', ['x', '^', '{', '2', '}', '+', 'sqrt', '5']],
    ['½', ['frac', '{', '1', '}', '{', '2', '}']],
    ['１２', ['12']],
    ['\\boxed{7} and \\boxed{11}', ['7', 'and', '11']],
    ['So $x = \\boxed{5}$', ['5']],
    ['$5', ['$', '5']],
  ])('leaves how %s looks behind', (text, tokens) => {
    expect(texts(text)).toEqual(tokens);
  });

  it('tells words from letters', () => {
    expect(lex('5\\text{ cm}+ab')?.map(({ type }) => type)).toEqual(['number', 'word', 'op', 'letters']);
  });

  it('refuses more tokens than an answer has', () => {
    expect(lex('x+'.repeat(MAX_TOKENS))).toBeUndefined();
  });
});
