import { fileURLToPath } from 'node:url';
import { loadTokenizer, type ScorerTokenizer } from '@scorer/core/tokenizer';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createStepSplitter } from './step-splitter.js';

const DEMO_MODEL = fileURLToPath(new URL('../../../apps/demo/data/model', import.meta.url));
const HALF_CHARACTERS = fileURLToPath(new URL('../../core/src/tokenizer/fixtures/half-characters', import.meta.url));

describe('splitSteps', () => {
  let tokenizer: ScorerTokenizer;
  beforeAll(async () => {
    tokenizer = await loadTokenizer(DEMO_MODEL);
  });
  const split = (text: string, separator = '\n\n') => createStepSplitter(tokenizer, separator)(text);

  it('cuts after each token with a blank line, and keeps the tail without a position', () => {
    const steps = split('One.\n\nTwo.\n\n\nThree')!;
    expect(steps.segments).toEqual(['One.\n\n', 'Two.\n\n\n', 'Three']);
    expect(steps.positions).toHaveLength(2);
    expect(steps.positions[0]).toBe(tokenizer.encode('One.\n\n').length - 1);
  });

  it('has no tail where the text ends with a step', () => {
    expect(split('One.\n\n')).toMatchObject({ segments: ['One.\n\n'], positions: [expect.any(Number)] });
  });

  it('has nothing to cut in an empty text', () => {
    expect(split('')).toEqual({ segments: [], positions: [], tokenCount: 0 });
  });

  it('cuts at another separator', () => {
    expect(split('One. Two. 3', '.')?.segments).toEqual(['One.', ' Two.', ' 3']);
  });

  it('returns the composed form where the tokenizer composes', () => {
    expect(split('e\u0301\n\ne\u0301')?.segments).toEqual(['\u00e9\n\n', '\u00e9']);
  });

  it('gives up a text that a cut inside a character would change', async () => {
    const half = await loadTokenizer(HALF_CHARACTERS);
    // One token is a blank line and the first two of the emoji's four bytes.
    const splitHalf = createStepSplitter(half, '\n\n');
    expect(splitHalf('One.\n\n\u{1f600}')).toBeUndefined();
    expect(splitHalf('One.\n\nTwo')?.segments).toEqual(['One.\n\n', 'Two']);
  });

  it('tokenizes a text once that comes twice', () => {
    let encoded = 0;
    const encode = (text: string): number[] => {
      encoded += 1;
      return tokenizer.encode(text);
    };
    const splitCounted = createStepSplitter({ ...tokenizer, encode }, '\n\n');
    const [first, , second] = ['One.\n\nTwo', 'Other', 'One.\n\nTwo'].map(splitCounted);
    expect(second).toEqual(first);
    expect(encoded).toBe(2);
  });

  it('never loses or adds a character, and every step but the tail ends with its separator', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\n\n', '\n', '.\n\n', ' ', '<think>', 'e\u0301'),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const text = pieces.join('').replaceAll(/\p{Surrogate}/gu, '');
        const steps = split(text);
        // Where an added token meets a combining character, the pieces are composed apart and the text together.
        if (!steps) return expect(text.normalize('NFC')).not.toBe(text);
        expect(steps.segments.join('')).toBe(text.normalize('NFC'));
        expect(steps.tokenCount).toBe(tokenizer.encode(text).length);
        expect(steps.positions).toEqual([...new Set(steps.positions)].sort((a, b) => a - b));
        for (const segment of steps.segments.slice(0, steps.positions.length)) expect(segment).toMatch(/\n\n/);
      }),
    );
  });
});
