import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSession } from '@scorer/core/onnx';
import { f32ToF16 } from '@scorer/core/safetensors';
import { encodeTorch, openTorch, TorchTensor } from '@scorer/core/torch';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sampleTraces, writeShard } from '../sample-shards.test.support.js';
import { loadScorer } from '../scorer.js';
import { train } from '../train.js';
import { exportScorer } from './export-scorer.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));
const NAMES = ['original', 'deep', 'logistic'] as const;
const D = 6;

let folder: string;
let expected: Record<(typeof NAMES)[number], number[]> & { rows: number[][] };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'export-'));
  expected = JSON.parse(await readFile(join(FIXTURES, 'expected.json'), 'utf8'));
});
afterAll(() => rm(folder, { recursive: true }));

async function scores(path: string): Promise<Float32Array> {
  const scorer = await loadScorer(path);
  const data = Float32Array.from(expected.rows.flat());
  const result = await scorer.score({ type: 'float32', count: data.length / D, data });
  await scorer.close();
  return result;
}

function largestDifference(a: ArrayLike<number>, b: readonly number[]): number {
  expect(a.length).toBe(b.length);
  return b.reduce((worst, value, i) => Math.max(worst, Math.abs(value - a[i]!)), 0);
}

describe.each(NAMES)('a scorer that PyTorch saved, %s.pt (tools/oracles/export.py)', (name) => {
  const source = join(FIXTURES, `${name}.pt`);

  test('gives the probabilities that PyTorch computed', async () => {
    expect(largestDifference(await scores(source), expected[name])).toBeLessThan(1e-6);
  });

  test.each(['pt', 'safetensors'] as const)('gives them too when it was exported as %s', async (format) => {
    const outputFile = join(folder, `${name}.${format}`);
    await exportScorer({ scorer: source, format, outputFile });
    expect(largestDifference(await scores(outputFile), expected[name])).toBeLessThan(1e-6);
  });

  test.each(['float32', 'float16'] as const)('gives them too as an ONNX model of %s rows', async (rowType) => {
    const outputFile = join(folder, `${name}.${rowType}.onnx`);
    await exportScorer({ scorer: source, format: 'onnx', outputFile, rowType });
    const session = await openSession(await readFile(outputFile), { device: 'cpu', threads: 1 });
    const floats = Float32Array.from(expected.rows.flat());
    const halves = new Uint16Array(floats.length);
    f32ToF16(floats, halves);
    const rows = { type: rowType, dims: [floats.length / D, D], data: rowType === 'float16' ? halves : floats };
    const { logit, probability } = await session.run({ hidden_states: rows }, { fetch: ['logit', 'probability'] });
    await session.close();
    expect(probability!.dims).toEqual([expected.rows.length]);
    expect(largestDifference(probability!.data as Float32Array, expected[name])).toBeLessThan(1e-6);
    const sigmoids = Array.from(logit!.data as Float32Array, (z) => 1 / (1 + Math.exp(-z)));
    expect(largestDifference(sigmoids, expected[name])).toBeLessThan(1e-6);
  });
});

describe('an exported file', () => {
  test('of a trained scorer says in PyTorch what a checkpoint of the original says', async () => {
    const sample = { questions: 6, tracesPerQuestion: 6, steps: 4, hiddenSize: 8, layers: [3] };
    await mkdir(join(folder, 'hs'));
    await writeShard(join(folder, 'hs/a.safetensors'), sampleTraces(sample), sample);
    const options = { hiddenUnits: 4, epochs: 3, device: 'cpu', configName: 'sample' } as const;
    const { checkpointFolder, best } = await train({ trainDir: join(folder, 'hs'), outDir: folder, ...options });
    const outputFile = join(folder, 'out/trained.pt');
    await exportScorer({ scorer: checkpointFolder, format: 'pt', outputFile });

    const file = await openTorch(outputFile);
    const checkpoint = file.value as Map<string, unknown>;
    expect([...checkpoint.keys()].sort()).toEqual(
      ['best_score', 'config_name', 'epoch', 'loss_curve', 'metrics', 'model_state_dict'].sort(),
    );
    expect(checkpoint.get('epoch')).toBe(best.epoch);
    expect(checkpoint.get('config_name')).toBe('sample');
    expect(checkpoint.get('loss_curve')).toHaveLength(best.epoch);
    expect((checkpoint.get('metrics') as Map<string, number>).get('auc')).toBe(best.auc);
    const state = checkpoint.get('model_state_dict') as Map<string, TorchTensor>;
    expect([...state].map(([name, { shape }]) => [name, shape])).toEqual([
      ['net.0.weight', [4, 8]],
      ['net.0.bias', [4]],
      ['net.2.weight', [1, 4]],
      ['net.2.bias', [1]],
    ]);
    expect([...state.values()].every((tensor) => tensor instanceof TorchTensor)).toBe(true);
    await file.close();
  });

  test('has the same bytes every time, is kept then, and another one is not overwritten unasked', async () => {
    const scorer = join(FIXTURES, 'original.pt');
    for (const format of ['pt', 'onnx', 'safetensors'] as const) {
      const outputFile = join(folder, `same.${format}`);
      expect(await exportScorer({ scorer, format, outputFile })).toMatchObject({ status: 'written' });
      expect(await exportScorer({ scorer, format, outputFile })).toMatchObject({ status: 'kept' });
      const other = { scorer: join(FIXTURES, 'deep.pt'), format, outputFile };
      await expect(exportScorer(other)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS', kind: 'usage' });
      expect(await exportScorer({ ...other, overwrite: 'replace' })).toMatchObject({ status: 'written' });
    }
  });

  test('is not made of a .pt file that holds no scorer', async () => {
    const path = join(folder, 'none.pt');
    const bias = { dtype: 'F32', shape: [2], data: new Float32Array(2) } as const;
    for (const value of [{}, 'text', { model_state_dict: new Map([['net.0.bias', bias]]) }]) {
      await writeFile(path, encodeTorch(value));
      const outputFile = join(folder, 'never.onnx');
      await expect(exportScorer({ scorer: path, format: 'onnx', outputFile })).rejects.toMatchObject({
        code: 'SCORER_INVALID',
      });
    }
  });
});
