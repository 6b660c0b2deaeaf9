import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSafetensors } from '@scorer/core/safetensors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDecoder } from '../decoder/decoder.js';
import { exportOnnx } from '../graph/export-onnx.js';
import { loadModel } from '../model/load-model.js';
import { loadOnnxModel } from './load-onnx-model.js';
import { openOnnxDecoder } from './onnx-decoder.js';

/** Tiny models as their exporters left them, with states by transformers: tools/oracles/onnx_models.py. */
const FIXTURES = fileURLToPath(new URL('./fixtures', import.meta.url));
const LAYOUTS = readdirSync(FIXTURES);
const LAYERS = [0, 1, 2];

/** Of the largest value. */
const TOLERANCE = 1e-5;
const HALF_TOLERANCE = 4e-3;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'onnx-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const inFixture = (layout: string, name = 'model.onnx'): string => join(FIXTURES, layout, name);

async function statesOf(path: string, layers: readonly number[], positions?: number[]) {
  const model = await loadOnnxModel(path);
  const decoder = await openOnnxDecoder(model, { layers, storage: 'F32', device: 'cpu', threads: 1 });
  const inputIds = await idsOf(path);
  const wanted = Int32Array.from(positions ?? inputIds.keys());
  return decoder.hiddenStates({ inputIds, positions: wanted }).finally(() => decoder.close());
}

async function idsOf(path: string): Promise<Int32Array> {
  const oracle = await openSafetensors(join(path, '..', 'states.safetensors'));
  const ids = new Int32Array((await oracle.read('input_ids')).slice().buffer);
  await oracle.close();
  return ids;
}

describe('the hidden states of an .onnx file are those of transformers in the layout', () => {
  test.each(LAYOUTS)('%s', async (layout) => {
    const states = await statesOf(inFixture(layout), LAYERS);
    const oracle = await openSafetensors(inFixture(layout, 'states.safetensors'));
    for (const layer of LAYERS) {
      const difference = relativeDifference(states.get(layer)!, await oracle.read(`hidden_states.${layer}`));
      expect(difference, `layer ${layer}`).toBeLessThan(layout.includes('16') ? HALF_TOLERANCE : TOLERANCE);
    }
    await oracle.close();
  });

  test('that this package exports', async () => {
    const model = await loadModel(
      fileURLToPath(new URL('../run/fixtures/architectures/qwen2-yarn-older-form', import.meta.url)),
    );
    const layers = [0, 1, 2, 3];
    const outputFile = join(folder, 'x.onnx');
    await exportOnnx(model, { outputFile, layers, compute: 'float32', storage: 'F32', weights: 'copy' });
    const sequence = { inputIds: Int32Array.of(3, 1, 4, 1, 5, 9, 2, 6), positions: Int32Array.of(2, 7) };
    const [exported, own] = [
      await openOnnxDecoder(await loadOnnxModel(outputFile), { layers, storage: 'F32', device: 'cpu' }),
      await openDecoder(model, { layers, storage: 'F32', compute: 'float32', device: 'cpu' }),
    ];
    const states = await exported.hiddenStates(sequence);
    for (const [layer, bytes] of await own.hiddenStates(sequence)) {
      expect(relativeDifference(states.get(layer)!, bytes)).toBeLessThan(TOLERANCE);
    }
    await Promise.all([exported.close(), own.close()]);
  });
});

describe('a decoder of an .onnx file', () => {
  test('computes each layer alone and selects positions without changing a bit', async () => {
    const path = inFixture('genai');
    const all = await statesOf(path, LAYERS);
    for (const layer of LAYERS) {
      const row = 32 * Float32Array.BYTES_PER_ELEMENT;
      const some = (await statesOf(path, [layer], [3, 20])).get(layer)!;
      const expected = [3, 20].map((position) => all.get(layer)!.subarray(position * row, (position + 1) * row));
      expect(Buffer.from(some).equals(Buffer.concat(expected)), `layer ${layer}`).toBe(true);
    }
  });

  test('needs no configuration where the graph tells everything', async () => {
    cpSync(inFixture('torch-all-states'), join(folder, 'model.onnx'));
    cpSync(inFixture('torch-all-states', 'states.safetensors'), join(folder, 'states.safetensors'));
    const model = await loadOnnxModel(join(folder, 'model.onnx'));
    expect(model).toMatchObject({ spec: { layerCount: 2 }, problem: undefined });
    expect([...model.states.values()].every(({ isOutput }) => isOutput)).toBe(true);
  });

  test('is refused where an input is of no known meaning', async () => {
    const model = await loadOnnxModel(inFixture('optimum'));
    const inputs = model.graph.inputs.map((input) =>
      input.name === 'attention_mask' ? { ...input, shape: [1, 1, 'T', 'T'] } : input,
    );
    const strange = { ...model, graph: { ...model.graph, inputs } };
    await expect(openOnnxDecoder(strange, { layers: [1], storage: 'F32', device: 'cpu' })).rejects.toMatchObject({
      code: 'ONNX_INPUT_UNKNOWN',
      message: expect.stringContaining('attention_mask (int64 [1,1,T,T])'),
    });
  });

  test('is refused with what is missing where the graph has another number of layers', async () => {
    cpSync(join(FIXTURES, 'optimum'), folder, { recursive: true });
    const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, num_hidden_layers: 3 }));
    await expect(statesOf(join(folder, 'model.onnx'), [1])).rejects.toMatchObject({
      code: 'ONNX_LAYER_MISSING',
      message: expect.stringMatching(/layer 1 .*4 residual connections, which 3 layers/),
    });
  });

  test('a number of layers that no model has is passed over', async () => {
    cpSync(join(FIXTURES, 'optimum'), folder, { recursive: true });
    const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, num_hidden_layers: 1e9 }));
    const { layerCount } = (await loadOnnxModel(join(folder, 'model.onnx'))).spec;
    expect(layerCount).toBe(config.num_hidden_layers);
  });
});

function relativeDifference(ours: Uint8Array, theirs: Uint8Array): number {
  const [a, b] = [ours, theirs].map((bytes) => new Float32Array(bytes.slice().buffer)) as [Float32Array, Float32Array];
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let [difference, size] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
    size = Math.max(size, Math.abs(b[i]!));
  }
  return difference / size;
}
