import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSession, type TensorData } from '@scorer/core/onnx';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDecoder } from '../decoder/decoder.js';
import { loadModel } from '../model/load-model.js';
import { type ExportOptions, exportOnnx } from './export-onnx.js';

const MODEL = fileURLToPath(new URL('../run/fixtures/architectures/llama3-biases', import.meta.url));
const inputIds = Int32Array.of(3, 1, 4, 1, 5, 9, 2, 6);
const positions = Int32Array.of(2, 7);

let folder: string;
let options: ExportOptions;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'export-'));
  options = {
    outputFile: join(folder, 'out', 'x.onnx'),
    layers: [0, 2, 3],
    compute: 'float32',
    storage: 'F32',
    weights: 'copy',
  };
});
afterEach(() => rmSync(folder, { recursive: true }));

async function statesOfFile(path: string): Promise<Record<string, TensorData>> {
  const session = await openSession(readFileSync(path), { device: 'cpu', externalDataFolder: join(path, '..') });
  const feeds: Record<string, TensorData> = {
    input_ids: { type: 'int32', dims: [1, inputIds.length], data: inputIds },
    positions: { type: 'int32', dims: [positions.length], data: positions },
  };
  const states = await session.run(feeds, { fetch: options.layers.map((layer) => `hidden_states.${layer}`) });
  await session.close();
  return states;
}

test('an exported model gives the states of the decoder, with copied weights and with its own', async () => {
  const model = await loadModel(MODEL);
  const decoder = await openDecoder(model, { ...options, device: 'cpu' });
  const expected = await decoder.hiddenStates({ inputIds, positions });
  await decoder.close();

  const files = await exportOnnx(model, options);
  expect(readdirSync(join(folder, 'out')).sort()).toEqual(['x.onnx', 'x.onnx.model.safetensors']);
  expect(files.map((file) => file.slice(folder.length))).toEqual(['/out/x.onnx.model.safetensors', '/out/x.onnx']);
  const copied = await statesOfFile(options.outputFile);
  for (const layer of options.layers) {
    const { data, dims } = copied[`hidden_states.${layer}`]!;
    expect(dims).toEqual([2, 32]);
    expect(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)).toEqual(expected.get(layer));
  }

  cpSync(MODEL, join(folder, 'model'), { recursive: true });
  const outputFile = join(folder, 'model', 'x.onnx');
  await exportOnnx(await loadModel(join(folder, 'model')), { ...options, outputFile, weights: 'reference' });
  expect(await statesOfFile(outputFile)).toEqual(copied);
});

test('an export by reference must lie beside the weights, and says where that is', async () => {
  await expect(exportOnnx(await loadModel(MODEL), { ...options, weights: 'reference' })).rejects.toMatchObject({
    code: 'WEIGHTS_ELSEWHERE',
    kind: 'usage',
    message: expect.stringMatching(/llama3-biases.*--self-contained/),
  });
  expect(readdirSync(folder)).toEqual([]);
});
