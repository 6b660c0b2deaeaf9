import { readdirSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readOnnxModel } from '@scorer/core/onnx';
import { openSafetensors } from '@scorer/core/safetensors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildDecoderGraph } from '../graph/decoder-graph.js';
import { RESIDUAL_INPUT, RESIDUAL_OUTPUT } from '../graph/residual-border.js';
import { type DecoderModel, loadModel } from '../model/load-model.js';
import { type Decoder, type DecoderOptions, openDecoder, type TokenSequence } from './decoder.js';
import { openGroupedDecoder } from './grouped-decoder.js';

const FIXTURES = fileURLToPath(new URL('../run/fixtures/architectures', import.meta.url));
const models = readdirSync(FIXTURES).map((name) => [name, join(FIXTURES, name)] as const);

/** More bytes than the residual streams of these tests have. */
const ALL_IN_MEMORY = 2 ** 30;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'groups-'));
});

afterEach(() => rm(folder, { recursive: true }));

describe('with a layer in memory at a time the states of every layer are bit for bit those of the whole', () => {
  test.each(models)('%s', async (_, path) => {
    const model = await loadModel(path);
    const layers = Array.from({ length: model.spec.layerCount + 1 }, (_, layer) => layer);
    const options: DecoderOptions = { layers, storage: 'F32', compute: 'float32', device: 'cpu', threads: 1 };
    const sequences = await sequencesOf(path);
    const [whole, grouped] = [await openDecoder(model, options), await openGroups(model, options, {})];
    const expected = await Promise.all(sequences.map((sequence) => whole.hiddenStates(sequence)));
    const states = await Promise.all(sequences.map((sequence) => grouped.hiddenStates(sequence)));
    expect(states).toEqual(expected);
    await Promise.all([whole.close(), grouped.close()]);
  });
});

describe('a batch of sequences', () => {
  const [, path] = models.find(([name]) => name === 'mistral-sliding')!;
  const LAYERS = [0, 1, 2, 3];
  const options: DecoderOptions = { layers: LAYERS, storage: 'F32', compute: 'float32', device: 'cpu', threads: 1 };
  const sequence: TokenSequence = {
    inputIds: Int32Array.from({ length: 60 }, (_, i) => (i * i + 3) % 40),
    positions: Int32Array.of(5, 30, 59),
    promptLength: 9,
  };
  const beyondVocabulary: TokenSequence = { ...sequence, inputIds: sequence.inputIds.with(2, 1e6) };

  let model: DecoderModel;
  let expected: Map<number, Uint8Array>;

  beforeEach(async () => {
    model = await loadModel(path);
    const whole = await openDecoder(model, options);
    expected = await whole.hiddenStates(sequence);
    await whole.close();
  });

  test('has the same bytes where its residual streams go through a file, which has no name', async () => {
    const decoder = await openGroups(model, options, { memory: 0, size: 2 });
    const names = new Set<string>();
    const onLayers = (): void => {
      for (const name of readdirSync(folder)) names.add(name);
    };
    const states = await Promise.all([0, 1].map(() => decoder.hiddenStates({ ...sequence, onLayers })));
    expect(states).toEqual([expected, expected]);
    if (process.platform !== 'win32') expect([...names]).toEqual([]);
    await decoder.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('goes on without one that fails', async () => {
    const decoder = await openGroups(model, options, {});
    const [first, failed, last] = await Promise.allSettled(
      [sequence, beyondVocabulary, sequence].map((each) => decoder.hiddenStates(each)),
    );
    expect(failed).toMatchObject({ status: 'rejected', reason: { code: 'TOKEN_BEYOND_VOCABULARY', kind: 'input' } });
    expect([first, last]).toEqual([0, 1].map(() => ({ status: 'fulfilled', value: expected })));
    await decoder.close();
  });

  test('ends before the next of its passes when it is aborted, and the next batch is computed', async () => {
    const decoder = await openGroups(model, options, {});
    const stop = new AbortController();
    const passed: number[] = [];
    const onLayers = (share: number): void => {
      passed.push(share);
      stop.abort();
    };
    const batch = [0, 1].map(() => decoder.hiddenStates({ ...sequence, signal: stop.signal, onLayers }));
    const settled = await Promise.allSettled(batch);
    expect(settled).toMatchObject([0, 1].map(() => ({ status: 'rejected', reason: { name: 'AbortError' } })));
    expect(passed).toEqual([1 / 3]);
    expect(await decoder.hiddenStates(sequence)).toEqual(expected);
    await decoder.close();
  });

  test('is given up by closing, and every sequence of it is told', async () => {
    const decoder = await openGroups(model, options, {});
    const settled = Promise.allSettled([0, 1].map(() => decoder.hiddenStates(sequence)));
    await new Promise((resolve) => setImmediate(resolve));
    await decoder.close();
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(decoder.hiddenStates(sequence)).rejects.toThrow('closed');
  });

  test('has the confidence of its tokens too', async () => {
    const withConfidence = { ...options, confidence: { topK: 3 } };
    const [whole, grouped] = [
      await openDecoder(model, withConfidence),
      await openGroups(model, withConfidence, { size: 2 }),
    ];
    const states = await grouped.hiddenStatesAndConfidence(sequence);
    expect(states).toEqual(await whole.hiddenStatesAndConfidence(sequence));
    expect(states.confidence.logprobs.length).toBe(51);
    await Promise.all([whole.close(), grouped.close()]);
  });

  test('is not begun where weights of a later group do not fit config.json', async () => {
    const tensors = new Map(model.weights.tensors);
    tensors.delete('model.layers.2.mlp.down_proj.weight');
    const broken = { ...model, weights: { ...model.weights, tensors } };
    await expect(openGroups(broken, options, {})).rejects.toMatchObject({ code: 'TENSOR_MISSING' });
  });

  test('ends the run, not its traces one by one, where a group can no longer be loaded', async () => {
    const copy = join(folder, 'model');
    await cp(path, copy, { recursive: true });
    const decoder = await openGroups(await loadModel(copy), options, {});
    await rm(join(copy, 'model.safetensors'));
    await expect(decoder.hiddenStates(sequence)).rejects.toMatchObject({ name: 'ScorerError', kind: 'retryable' });
    await decoder.close();
  });

  test('ends the run too where the file of its residual streams cannot be made', async () => {
    const decoder = await openGroups(model, options, { memory: 0, path: join(folder, 'missing', '.residuals') });
    const refusal = { code: 'FILE_NOT_FOUND', kind: 'retryable' };
    await expect(decoder.hiddenStates(sequence)).rejects.toMatchObject(refusal);
    await decoder.close();
  });
});

test('what crosses the border of two groups holds every number of the compute type', async () => {
  await cp(models[0]![1], folder, { recursive: true });
  const model = await loadModel(folder);
  const types = { float32: 'float32', float16: 'float16', bfloat16: 'float32' } as const;
  for (const compute of ['float32', 'float16', 'bfloat16'] as const) {
    const file = join(folder, `${compute}.onnx`);
    const group = { first: 2, last: 2 };
    await writeFile(file, buildDecoderGraph(model, { layers: [3], compute, storage: 'F32', group }));
    const { inputs, outputs } = await readOnnxModel(file);
    expect(inputs.find(({ name }) => name === RESIDUAL_INPUT)?.type).toBe(types[compute]);
    expect(outputs.find(({ name }) => name === RESIDUAL_OUTPUT)?.type).toBe(types[compute]);
  }
});

/** Of the fixture's lengths, which cross its sliding window: whole, and with a prompt that two of them share. */
async function sequencesOf(path: string): Promise<TokenSequence[]> {
  const oracle = await openSafetensors(join(path, 'states.safetensors'));
  const sequences: TokenSequence[] = [];
  for (const name of oracle.tensors.keys()) {
    const length = /^input_ids\.(\d+)$/.exec(name)?.[1];
    if (length === undefined) continue;
    const inputIds = new Int32Array((await oracle.read(name)).slice().buffer);
    const positions = new Int32Array((await oracle.read(`positions.${length}`)).slice().buffer);
    sequences.push({ inputIds, positions });
    for (const promptLength of [9, inputIds.length]) sequences.push({ inputIds, positions, promptLength });
    const other = inputIds.with(-1, (inputIds.at(-1)! + 1) % 40);
    sequences.push({ inputIds: other, positions, promptLength: 9 });
  }
  await oracle.close();
  return sequences;
}

function openGroups(
  model: DecoderModel,
  options: DecoderOptions,
  {
    memory = ALL_IN_MEMORY,
    size = 1,
    path = join(folder, '.residuals'),
  }: { memory?: number; size?: number; path?: string },
): Promise<Decoder> {
  const { layerCount } = model.spec;
  const groups = [];
  for (let first = 1; first <= layerCount; first += size) {
    groups.push({ first, last: Math.min(first + size - 1, layerCount) });
  }
  return openGroupedDecoder(model, options, { groups, batchTokens: 1000, memory, path });
}
