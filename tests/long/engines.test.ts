/**
 * Both engines against PyTorch at real sizes. PyTorch's own rounding differences are measured in the same run, by
 * tools/oracles/training_noise.py, with SCORER_PYTHON (default python3); where that has no torch and safetensors the tests
 * are skipped. TensorFlow.js runs on WebAssembly, and on tfjs-node where it is found (docs/tfjs.md), as with NODE_PATH.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { randomStream } from '@scorer/core/random';
import { f32ToF16, openSafetensors, writeSafetensors } from '@scorer/core/safetensors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
// Built, since the engines run in worker threads that are files of their own.
import { createEngine, type EngineName, initialState } from '../../packages/train/dist/engine/engine.js';
import { forEachParameter, type Parameters } from '../../packages/train/dist/engine/network.js';
import { installedBackends } from '../../packages/train/dist/engine/tfjs-backend.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const STATES = join(
  process.env.SCORER_SHARED ?? join(ROOT, '../shared'),
  'tiny-reasoner/reference/hidden_states/train_200.safetensors',
);
const PYTHON = process.env.SCORER_PYTHON ?? 'python3';
const hasTorch = spawnSync(PYTHON, ['-c', 'import torch, safetensors']).status === 0;
const hasNative = installedBackends().some(({ name }) => name === 'tensorflow');

const BATCH = 128;
const BATCHES_PER_RUN = 8;
/** As in training_noise.py. */
const ADAM = { learningRate: 1e-4, weightDecay: 1e-5, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/** What PyTorch made of some rows: from the same weights, its results after 200 steps that round differently. */
interface TorchRun {
  readonly rows: Uint16Array;
  readonly labels: Float32Array;
  readonly positiveWeight: number;
  readonly initial: Parameters;
  readonly final: Parameters;
  /** The largest difference of any weight between its results. */
  readonly noise: number;
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'engines-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!hasTorch)('200 steps from the weights and batches of PyTorch (skipped without it)', () => {
  describe.skipIf(!existsSync(STATES))('on the tiny reasoner (skipped without ../shared)', () => {
    let torch: TorchRun;
    beforeAll(async () => {
      torch = await trainTorch(STATES);
    });

    test.each<EngineName>(['onnx', 'tfjs'])('%s ends within twice its noise', async (engine) => {
      await expectWithinNoise(engine, torch);
    });

    test.each<EngineName>(['onnx', 'tfjs'])('%s gives the same bits twice', async (engine) => {
      const [first, second] = [await train(engine, torch), await train(engine, torch)];
      expect(second.weights).toEqual(first.weights);
    });
  });

  describe('on rows of 4,096 numbers', () => {
    let torch: TorchRun;
    beforeAll(async () => {
      const path = join(folder, 'wide.safetensors');
      await writeWideStates(path);
      torch = await trainTorch(path);
    });

    test('onnx ends within twice its noise', () => expectWithinNoise('onnx', torch));

    test.skipIf(!hasNative)('tfjs ends within twice its noise (skipped without tfjs-node)', () =>
      expectWithinNoise('tfjs', torch),
    );
  });
});

async function expectWithinNoise(engine: EngineName, torch: TorchRun): Promise<void> {
  const { runtime, weights } = await train(engine, torch);
  const difference = largestDifference(weights, torch.final);
  console.log(`${runtime}: ${difference.toExponential(1)}, PyTorch's own ${torch.noise.toExponential(1)}`);
  expect(difference).toBeLessThanOrEqual(2 * torch.noise);
}

async function train(name: EngineName, { rows, labels, positiveWeight, initial }: TorchRun) {
  const units = initial['net.0.bias']!.length;
  const width = initial['net.0.weight']!.length / units;
  const network = { inputSize: width, hiddenUnits: [units] };
  const loss = { kind: 'bce', positiveWeight } as const;
  const options = { network, rowType: 'float16', adam: ADAM, loss, dropout: 0, seed: 0, device: 'cpu' } as const;
  const engine = await createEngine(name, options, initialState(initial));
  const runRows = BATCH * BATCHES_PER_RUN;
  for (let from = 0; from < labels.length; from += runRows) {
    await engine.trainBatches({
      batchSize: BATCH,
      rows: { type: 'float16', count: runRows, data: rows.slice(from * width, (from + runRows) * width) },
      labels: labels.slice(from, from + runRows),
    });
  }
  const { weights } = await engine.state();
  await engine.close();
  return { runtime: engine.runtime, weights };
}

async function trainTorch(states: string): Promise<TorchRun> {
  const out = join(folder, 'torch.safetensors');
  const oracle = join(ROOT, 'tools/oracles/training_noise.py');
  const { status, stderr } = spawnSync(PYTHON, [oracle, states, out], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);

  const file = await openSafetensors(out);
  const floats = async (name: string): Promise<Float32Array> =>
    new Float32Array((await file.read(name)).slice().buffer);
  const network = { inputSize: 1, hiddenUnits: [1] };
  const parameters = async (kind: string): Promise<Parameters> => {
    const reading = forEachParameter(network, (name) => floats(`${kind}.${name}`));
    const values = await Promise.all(Object.values(reading));
    return Object.fromEntries(Object.keys(reading).map((name, i) => [name, values[i]!]));
  };
  const final = await parameters('one');
  const run = {
    rows: new Uint16Array((await file.read('rows')).slice().buffer),
    labels: await floats('labels'),
    positiveWeight: (await floats('pos_weight'))[0]!,
    initial: await parameters('initial'),
    final,
    noise: Math.max(
      ...(await Promise.all(
        ['two', 'reversed', 'rolled'].map(async (kind) => largestDifference(await parameters(kind), final)),
      )),
    ),
  };
  await file.close();
  return run;
}

/** 300 traces of 10 steps, as the tiny reasoner's file has them. */
async function writeWideStates(path: string): Promise<void> {
  const [traces, steps, width] = [300, 10, 4096];
  const random = randomStream(0, 'wide states');
  const values = Float32Array.from({ length: traces * steps * width }, () => 6 * random.uniform() - 3);
  const hidden = new Uint16Array(values.length);
  f32ToF16(values, hidden);
  await writeSafetensors(path, [
    { name: 'hidden', dtype: 'F16', shape: [traces * steps, width], data: hidden },
    {
      name: 'offsets',
      dtype: 'I64',
      shape: [traces + 1],
      data: BigInt64Array.from({ length: traces + 1 }, (_, i) => BigInt(i * steps)),
    },
    {
      name: 'is_correct',
      dtype: 'U8',
      shape: [traces],
      data: Uint8Array.from({ length: traces }, () => Number(random.uniform() < 0.4)),
    },
  ]);
}

function largestDifference(a: Parameters, b: Parameters): number {
  let largest = 0;
  for (const [name, values] of Object.entries(a)) {
    for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]! - b[name]![i]!));
  }
  return largest;
}
