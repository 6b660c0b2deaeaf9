import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSession, type TensorData } from '@scorer/core/onnx';
import { openSafetensors } from '@scorer/core/safetensors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ExportOptions } from '../graph/export-onnx.js';
import { exportOnnxModel } from './export-onnx-model.js';
import { loadOnnxModel } from './load-onnx-model.js';
import { openOnnxDecoder } from './onnx-decoder.js';

const FIXTURES = fileURLToPath(new URL('./fixtures', import.meta.url));
const LAYOUTS = readdirSync(FIXTURES);
const layers = [1, 2];
const positions = [3, 20, 23];
/** Reads what is exported as a stranger does; SCORER_PYTHON names an interpreter with onnxruntime and numpy. */
const PYTHON = process.env.SCORER_PYTHON;

let folder: string;
let options: Pick<ExportOptions, 'outputFile' | 'layers' | 'storage'>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'export-'));
  options = { outputFile: join(folder, 'x.onnx'), layers, storage: 'F32' };
});
afterEach(() => rmSync(folder, { recursive: true }));

async function idsOf(layout: string): Promise<Int32Array> {
  const oracle = await openSafetensors(join(FIXTURES, layout, 'states.safetensors'));
  const ids = new Int32Array((await oracle.read('input_ids')).slice().buffer);
  await oracle.close();
  return ids;
}

/** States of the exporter's own file, by layer. */
async function expectedStates(layout: string, inputIds: Int32Array): Promise<Map<number, Uint8Array>> {
  const model = await loadOnnxModel(join(FIXTURES, layout, 'model.onnx'));
  const decoder = await openOnnxDecoder(model, { layers, storage: 'F32', device: 'cpu', threads: 1 });
  return decoder.hiddenStates({ inputIds, positions: Int32Array.from(positions) }).finally(() => decoder.close());
}

describe('a file with hidden states', () => {
  test.each(LAYOUTS)('that is made of %s stands alone, and takes tokens and positions alone', async (layout) => {
    const inputIds = await idsOf(layout);
    const model = await loadOnnxModel(join(FIXTURES, layout, 'model.onnx'));
    const files = await exportOnnxModel(model, { ...options, weights: 'copy' });
    expect(files).toEqual([`${options.outputFile}.data`, options.outputFile]);
    expect(statSync(files[0]!).size).toBeLessThan(100_000);

    const session = await openSession(readFileSync(options.outputFile), {
      device: 'cpu',
      threads: 1,
      externalDataFolder: folder,
    });
    const [tokens, wanted] = session.inputs.toSorted();
    expect([tokens, wanted, session.inputs.length]).toEqual(['input_ids', 'positions', 2]);
    const isLong = model.graph.inputs.find(({ name }) => name === 'input_ids')!.type === 'int64';
    const feeds: Record<string, TensorData> = {
      input_ids: isLong
        ? { type: 'int64', dims: [1, inputIds.length], data: BigInt64Array.from(inputIds, BigInt) }
        : { type: 'int32', dims: [1, inputIds.length], data: inputIds },
      positions: { type: 'int32', dims: [positions.length], data: Int32Array.from(positions) },
    };
    const states = await session.run(feeds, { fetch: session.outputs });
    await session.close();
    const expected = await expectedStates(layout, inputIds);
    for (const [i, name] of session.outputs.entries()) {
      const { data, dims } = states[name]!;
      expect(name).toMatch(new RegExp(`hidden_states\\.${layers[i]}$`));
      expect(dims).toEqual([positions.length, 32]);
      expect(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)).toEqual(expected.get(layers[i]!));
    }
  });

  test('is taken as a model again, and can be cut further', async () => {
    await exportOnnxModel(await loadOnnxModel(join(FIXTURES, 'genai', 'model.onnx')), { ...options, weights: 'copy' });
    cpSync(join(FIXTURES, 'genai', 'config.json'), join(folder, 'config.json'));
    const again = await loadOnnxModel(options.outputFile);
    expect([...again.states.keys()]).toEqual(layers);
    const outputFile = join(folder, 'y.onnx');
    await exportOnnxModel(again, { ...options, outputFile, layers: [1], weights: 'reference' });

    const inputIds = await idsOf('genai');
    const decoder = await openOnnxDecoder(await loadOnnxModel(outputFile), {
      layers: [1],
      storage: 'F32',
      device: 'cpu',
      threads: 1,
    });
    const states = await decoder.hiddenStates({ inputIds, positions: Int32Array.from(positions) });
    await decoder.close();
    expect(states.get(1)).toEqual((await expectedStates('genai', inputIds)).get(1));
  });

  test('by reference must lie beside the weights, and never takes the place of the model', async () => {
    cpSync(join(FIXTURES, 'optimum'), join(folder, 'model'), { recursive: true });
    const path = join(folder, 'model', 'model.onnx');
    const model = await loadOnnxModel(path);
    const before = readFileSync(path);
    const refusals = [
      [{ outputFile: join(folder, 'x.onnx'), weights: 'reference' }, 'WEIGHTS_ELSEWHERE'],
      [{ outputFile: path, weights: 'reference' }, 'OUTPUT_IS_INPUT'],
      [{ outputFile: path, weights: 'copy' }, 'OUTPUT_IS_INPUT'],
    ] as const;
    for (const [wrong, code] of refusals) {
      await expect(exportOnnxModel(model, { ...options, ...wrong })).rejects.toMatchObject({ code, kind: 'usage' });
    }
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(folder)).toEqual(['model']);
  });

  test.skipIf(!PYTHON).each(LAYOUTS)('made of %s runs in Python (skipped without SCORER_PYTHON)', async (layout) => {
    const model = await loadOnnxModel(join(FIXTURES, layout, 'model.onnx'));
    await exportOnnxModel(model, { ...options, weights: 'copy' });
    const inputIds = await idsOf(layout);
    const script = [
      'import json, sys, numpy, onnx, onnxruntime',
      'path, ids, positions = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])',
      'onnx.checker.check_model(path) if "com.microsoft" not in str(onnx.load(path, load_external_data=False).opset_import) else None',
      'session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])',
      'kinds = {i.name: numpy.int64 if "64" in i.type else numpy.int32 for i in session.get_inputs()}',
      'feeds = {"input_ids": numpy.array([ids], kinds["input_ids"]), "positions": numpy.array(positions, numpy.int32)}',
      'print(json.dumps([v.tolist() for v in session.run(None, feeds)]))',
    ].join('\n');
    const { stdout, stderr } = spawnSync(
      PYTHON!,
      ['-c', script, options.outputFile, JSON.stringify([...inputIds]), JSON.stringify(positions)],
      { encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    const expected = await expectedStates(layout, inputIds);
    for (const [i, rows] of (JSON.parse(stdout) as number[][][]).entries()) {
      const ours = new Float32Array(expected.get(layers[i]!)!.slice().buffer);
      for (const [j, value] of rows.flat().entries()) expect(Math.abs(value - ours[j]!)).toBeLessThan(1e-4);
    }
  });
});
