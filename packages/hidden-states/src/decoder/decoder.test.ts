import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSafetensors, type SafetensorsFile } from '@scorer/core/safetensors';
import { describe, expect, test } from 'vitest';
import { loadModel } from '../model/load-model.js';
import { openDecoder } from './decoder.js';

/** Tiny random models with states by transformers in float32: tools/oracles/architectures.py. */
const FIXTURES = fileURLToPath(new URL('../run/fixtures/architectures', import.meta.url));
/** A folder of more such models, made with `--random`. */
const MORE = process.env.SCORER_ARCHITECTURES;

/** Of a row's difference against the row's size. */
const TOLERANCE = 1e-4;
const PROMPT_TOLERANCE = 1e-5;
// Roundings of float16; a window that is off by one token makes 0.02 to 0.24.
const HALF_TOLERANCE = 1e-2;
const PROMPT_MODELS = 12;

const models = [FIXTURES, ...(MORE ? [MORE] : [])].flatMap((folder) =>
  readdirSync(folder).map((name) => [name, join(folder, name)] as const),
);

describe('the states of every layer are those of transformers for', () => {
  test.each(models)('%s', async (_, folder) => {
    const { decoder, layers, rowSize } = await openAllLayers(folder);
    const oracle = await openSafetensors(join(folder, 'states.safetensors'));
    for (const length of lengthsIn(oracle)) {
      const inputIds = await int32(oracle, `input_ids.${length}`);
      const positions = await int32(oracle, `positions.${length}`);
      const states = await decoder.hiddenStates({ inputIds, positions });
      for (const layer of layers) {
        const ours = floats(states.get(layer)!);
        const theirs = floats(await oracle.read(`hidden_states.${layer}.${length}`));
        expect(relativeDifference(ours, theirs, rowSize), `layer ${layer} of ${length}`).toBeLessThan(TOLERANCE);
      }
    }
    await Promise.all([decoder.close(), oracle.close()]);
  });
});

describe('a prompt as a part of its own', () => {
  test.each(models.slice(0, PROMPT_MODELS))('gives the states of one pass for %s', async (_, folder) => {
    const { decoder, layers, rowSize } = await openAllLayers(folder);
    const oracle = await openSafetensors(join(folder, 'states.safetensors'));
    for (const length of lengthsIn(oracle)) {
      const inputIds = await int32(oracle, `input_ids.${length}`);
      const positions = await int32(oracle, `positions.${length}`);
      const whole = await decoder.hiddenStates({ inputIds, positions });
      for (const promptLength of [1, 9, 30, length]) {
        const parts = await decoder.hiddenStates({ inputIds, positions, promptLength });
        for (const layer of layers) {
          const difference = relativeDifference(floats(parts.get(layer)!), floats(whole.get(layer)!), rowSize);
          expect(difference, `layer ${layer} of ${length}`).toBeLessThan(PROMPT_TOLERANCE);
        }
      }
    }
    await Promise.all([decoder.close(), oracle.close()]);
  });

  test('gives the same bytes whether it is used again, was replaced in between, or is new', async () => {
    const { decoder } = await openAllLayers(models[0]![1]);
    const sequence = (prompt: number, rest: number[]) => ({
      inputIds: Int32Array.of(...Array.from({ length: 12 }, (_, i) => (i * prompt) % 40), ...rest),
      positions: Int32Array.of(3, 11, 11 + rest.length),
      promptLength: 12,
    });
    const [a, b, other] = [sequence(7, [1, 2, 3]), sequence(7, [30, 20, 10, 5]), sequence(11, [1, 2, 3])];
    const [first, after, replacing, again] = await Promise.all([a, b, other, a].map((s) => decoder.hiddenStates(s)));
    expect(again).toEqual(first);
    expect(replacing).not.toEqual(first);
    const fresh = (await openAllLayers(models[0]![1])).decoder;
    expect(await fresh.hiddenStates(b)).toEqual(after);
    await Promise.all([decoder.close(), fresh.close()]);
  });
});

test('a trace longer than one chunk of the MLP has the states of its beginning computed alone', async () => {
  const { decoder, layers, rowSize } = await openAllLayers(models[0]![1]);
  const inputIds = Int32Array.from({ length: 1100 }, (_, i) => (i * i) % 40);
  const positions = Int32Array.of(0, 511, 512, 549, 550, 1023);
  const long = await decoder.hiddenStates({ inputIds, positions: Int32Array.of(...positions, 1099) });
  const short = await decoder.hiddenStates({ inputIds: inputIds.subarray(0, 1024), positions });
  for (const layer of layers) {
    const rows = floats(long.get(layer)!).subarray(0, positions.length * rowSize);
    expect(relativeDifference(rows, floats(short.get(layer)!), rowSize)).toBeLessThan(PROMPT_TOLERANCE);
  }
  await decoder.close();
});

describe('the graph that CUDA gets has, on the CPU, the states of float32 in float16', () => {
  // Heads of a multiple of 16 dimensions are placed by the attention kernel itself, which norms them only on CUDA.
  const normedInKernel = ['qwen3-moe-dense-between', 'qwen3-yarn-layer-types'];
  test.each(readdirSync(FIXTURES).filter((name) => !normedInKernel.includes(name)))('%s', async (name) => {
    const folder = join(FIXTURES, name);
    const [exact, half] = [await openAllLayers(folder), await openAllLayers(folder, 'float16')];
    const sequence = {
      inputIds: Int32Array.from({ length: 60 }, (_, i) => (i * i + 3) % 40),
      positions: Int32Array.of(5, 30, 59),
    };
    const expected = await exact.decoder.hiddenStates(sequence);
    const states = await half.decoder.hiddenStates(sequence);
    for (const layer of exact.layers) {
      const difference = relativeDifference(floats(states.get(layer)!), floats(expected.get(layer)!), exact.rowSize);
      expect(difference, `layer ${layer}`).toBeLessThan(HALF_TOLERANCE);
    }
    await Promise.all([exact.decoder.close(), half.decoder.close()]);
  });
});

test('a token that the model has no embedding for is refused by its place, and the next sequence is computed', async () => {
  const { decoder } = await openAllLayers(models[0]![1]);
  const inputIds = Int32Array.of(1, 2, 3);
  const positions = Int32Array.of(2);
  for (const [id, place] of [
    [1e6, 1],
    [-1, 2],
  ] as const) {
    const wrong = inputIds.with(place, id);
    await expect(decoder.hiddenStates({ inputIds: wrong, positions })).rejects.toMatchObject({
      code: 'TOKEN_BEYOND_VOCABULARY',
      message: expect.stringContaining(`token ${place} has the id ${id}`),
    });
  }
  expect((await decoder.hiddenStates({ inputIds, positions })).size).toBeGreaterThan(0);
  await decoder.close();
});

async function openAllLayers(folder: string, compute: 'float32' | 'float16' = 'float32') {
  const model = await loadModel(folder);
  const layers = Array.from({ length: model.spec.layerCount + 1 }, (_, layer) => layer);
  const decoder = await openDecoder(model, { layers, storage: 'F32', compute, device: 'cpu' });
  return { decoder, layers, rowSize: model.spec.hiddenSize };
}

function lengthsIn(oracle: SafetensorsFile): number[] {
  return [...oracle.tensors.keys()].flatMap((name) =>
    name.startsWith('input_ids.') ? [Number(name.slice('input_ids.'.length))] : [],
  );
}

/** Largest over the rows of |ours − theirs|∞ / |theirs|∞; infinite where the sizes differ. */
function relativeDifference(ours: Float32Array, theirs: Float32Array, rowSize: number): number {
  if (ours.length !== theirs.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let start = 0; start < theirs.length; start += rowSize) {
    let [difference, size] = [0, 0];
    for (let i = start; i < start + rowSize; i++) {
      difference = Math.max(difference, Math.abs(ours[i]! - theirs[i]!));
      size = Math.max(size, Math.abs(theirs[i]!));
    }
    worst = Math.max(worst, difference / size);
  }
  return worst;
}

async function int32(file: SafetensorsFile, name: string): Promise<Int32Array> {
  return new Int32Array((await file.read(name)).slice().buffer);
}

function floats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}
