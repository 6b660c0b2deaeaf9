import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { longestTrace, type MemoryEstimate } from '../memory/estimate.js';
import { planMemory, type RunMemoryOptions } from '../memory/plan-memory.js';
import { loadOnnxModel, type OnnxDecoderModel } from './load-onnx-model.js';
import { estimateOnnxMemory } from './onnx-memory.js';

const load = (layout: string): Promise<OnnxDecoderModel> =>
  loadOnnxModel(fileURLToPath(new URL(`./fixtures/${layout}/model.onnx`, import.meta.url)));

const need = ({ model, perToken, perTokenPair = 0 }: MemoryEstimate, tokens: number): number =>
  model + tokens * perToken + tokens ** 2 * perTokenPair;

test.each([
  ['optimum', true],
  ['optimum-merged', true],
  ['torch-all-states', true],
  ['genai', false],
])('a pass of %s takes memory for each pair of tokens: %s', async (layout, takesPairs) => {
  const estimate = estimateOnnxMemory(await load(layout), { layers: [2], device: 'cpu' });
  expect(estimate.perTokenPair! > 0).toBe(takesPairs);
});

test('what is not loaded takes none: layers after the last wanted one, lm_head', async () => {
  const model = await load('genai');
  const [embeddings, first, all] = [0, 1, 2].map((layer) =>
    estimateOnnxMemory(model, { layers: [layer], device: 'cpu' }),
  );
  const weights = [...model.graph.initializers.values()].reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
  expect(embeddings!.model).toBeLessThan(first!.model);
  expect(first!.model).toBeLessThan(all!.model);
  expect(all!.model - embeddings!.model).toBeLessThan(weights);
});

test('the longest trace is the one that just fits, with matrices of all pairs of tokens or without', () => {
  for (const perTokenPair of [0, 320]) {
    const estimate = { model: 1e8, perToken: 4e4, perTokenPair };
    const longest = longestTrace(estimate, 3e9);
    expect(need(estimate, longest)).toBeLessThanOrEqual(3e9);
    expect(need(estimate, longest + 1)).toBeGreaterThan(3e9);
    expect(longestTrace(estimate, Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  }
});

test('a run with an .onnx file says what it takes, and refuses what does not fit', async () => {
  const model = await load('optimum');
  const estimate = estimateOnnxMemory(model, { layers: [2], device: 'cpu' });
  const said: string[] = [];
  const options: RunMemoryOptions = {
    layers: [2],
    compute: 'float32',
    device: 'cpu',
    layerGroups: 'auto',
    longest: 10,
    outputPath: 'x',
    availableMemory: need(estimate, 5000),
    onInfo: (line) => said.push(line),
  };
  const { figures, fits } = planMemory(model, options);
  expect(figures).toMatchObject({ longest_trace: 5000, per_token_pair: estimate.perTokenPair });
  expect(said).toEqual([expect.stringMatching(/^memory: about .*traces of up to 5000 tokens fit/)]);
  expect(() => fits(5000)).not.toThrow();
  expect(() => fits(5001)).toThrow(expect.objectContaining({ code: 'TRACE_TOO_LONG' }));
  expect(() => planMemory(model, { ...options, availableMemory: 1e6 })).toThrow(
    expect.objectContaining({ code: 'MODEL_TOO_LARGE' }),
  );
});
