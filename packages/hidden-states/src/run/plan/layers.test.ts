import { expect, test } from 'vitest';
import { parseLayers } from './layers.js';

test('layers are numbered as in transformers, from the embeddings to the final norm', () => {
  expect(parseLayers('last', 5)).toEqual([5]);
  expect(parseLayers('all', 5)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(parseLayers('3,-1, 0,3', 5)).toEqual([0, 3, 5]);
  expect(parseLayers('-6', 5)).toEqual([0]);
});

test.each(['6', '-7', 'x', '', '1,,2', '1.5', '1e0'])('%j is no list of layers of a model with five', (text) => {
  expect(() => parseLayers(text, 5)).toThrow(expect.objectContaining({ code: 'BAD_LAYERS', kind: 'usage' }));
});
