import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { headTensor } from './head.js';
import { loadModel } from './load-model.js';

const TIED = fileURLToPath(new URL('../run/fixtures/architectures/llama3-biases', import.meta.url));

test('the head is the embeddings where they are tied, but for a file that has another one', async () => {
  const model = await loadModel(TIED);
  const embeddings = 'model.embed_tokens.weight';
  expect(model.spec.head.tied).toBe(true);
  expect(headTensor(model)).toBe(embeddings);

  const tensors = new Map(model.weights.tensors).set('lm_head.weight', model.weights.tensors.get(embeddings)!);
  expect(headTensor({ ...model, weights: { ...model.weights, tensors } })).toBe('lm_head.weight');
});
