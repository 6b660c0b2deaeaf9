import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createEncoder } from './encoder.js';
import { buildTokenizer, type LibraryTokenizer } from './library.js';
import { readTokenizerFiles, type TokenizerFiles } from './tokenizer-files.js';

const DEMO = fileURLToPath(new URL('../../../../apps/demo/data/model', import.meta.url));

describe('encoding with a memory of pieces', () => {
  let files: TokenizerFiles;
  let library: LibraryTokenizer;
  beforeAll(async () => {
    files = await readTokenizerFiles(DEMO);
    library = buildTokenizer(files);
  });
  const encodeByLibrary = (text: string): number[] => library.encode(text, { add_special_tokens: false }).ids;

  it('gives the ids of the library, at the first and the second time', () => {
    const encode = createEncoder(files, library);
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.stringMatching(/^[ a-z0-9.,'\n]*$/),
      fc.constantFrom('<think>', '</think>', '<|im_start|>', '<|im_', 'e\u0301', '  \n\n ', "I'll", '12345'),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const text = pieces.join('');
        expect(encode(text)).toEqual(encodeByLibrary(text));
        expect(encode(text)).toEqual(encodeByLibrary(text));
      }),
      { numRuns: 500 },
    );
  });

  it('asks the library once for a word that comes again', () => {
    let calls = 0;
    const model = Object.assign(
      (pieces: string[]) => {
        calls += 1;
        return library.model(pieces);
      },
      { tokens_to_ids: library.model.tokens_to_ids },
    );
    createEncoder(files, { ...library, model } as LibraryTokenizer)('plums plums plums');
    expect(calls).toBe(2);
  });

  it('leaves a tokenizer to the library whose added tokens take spaces from their neighbours', () => {
    const added_tokens = files.json.added_tokens.map((token) => ({ ...token, rstrip: true, lstrip: true }));
    const stripping = { ...files, json: { ...files.json, added_tokens } };
    const encode = createEncoder(stripping, buildTokenizer(stripping));
    expect(encode('a <think> b')).toEqual(encode('a<think>b'));
  });
});
