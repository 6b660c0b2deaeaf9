import { fileURLToPath } from 'node:url';
import { openSafetensors } from '@scorer/core/safetensors';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type BatchRun,
  createEngine,
  type EngineOptions,
  initialState,
  resolveEngine,
  type TrainingState,
} from './engine.js';
import { forEachParameter, initialParameters, PARAMETERS, type Parameters } from './network.js';

/** What PyTorch made of the same start: tools/oracles/training_step.py. */
const FIXTURE = fileURLToPath(new URL('./fixtures/training_step.safetensors', import.meta.url));
const BATCH = 32;
const EPOCHS = 20;

let rows: Uint16Array;
let labels: Float32Array;
let losses: Float32Array;
let logits: Float32Array;
let initial: Parameters;
let expected: Record<'final' | 'exp_avg' | 'exp_avg_sq', Parameters>;

beforeAll(async () => {
  const file = await openSafetensors(FIXTURE);
  const floats = async (name: string): Promise<Float32Array> => new Float32Array((await file.read(name)).buffer);
  const parameters = async (prefix: string): Promise<Parameters> => {
    const arrays = await Promise.all(PARAMETERS.map((name) => floats(`${prefix}.${name}`)));
    return forEachParameter((name) => arrays[PARAMETERS.indexOf(name)]!);
  };
  rows = new Uint16Array((await file.read('rows')).buffer);
  [labels, losses, logits] = await Promise.all([floats('labels'), floats('losses'), floats('logits')]);
  initial = await parameters('initial');
  expected = {
    final: await parameters('final'),
    exp_avg: await parameters('exp_avg'),
    exp_avg_sq: await parameters('exp_avg_sq'),
  };
  await file.close();
});

const OPTIONS: EngineOptions = {
  network: { inputSize: 24, hiddenUnits: 16 },
  rowType: 'float16',
  adam: { learningRate: 1e-2, weightDecay: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  positiveWeight: 1.75,
  device: 'cpu',
  threads: 1,
};

/** The rows of the fixture in order: 9 whole batches, then a short one. */
function epochRuns(): BatchRun[] {
  const run = (from: number, to: number, batchSize: number): BatchRun => ({
    batchSize,
    rows: { type: 'float16', count: to - from, data: rows.slice(from * 24, to * 24) },
    labels: labels.slice(from, to),
  });
  const whole = labels.length - (labels.length % BATCH);
  return [run(0, whole, BATCH), run(whole, labels.length, labels.length - whole)];
}

async function trainFrom(state: TrainingState, epochs: number) {
  const engine = await createEngine('onnx', OPTIONS, state);
  const seen: number[] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const run of epochRuns()) seen.push(...(await engine.trainBatches(run)));
  }
  const after = await engine.state();
  const scores = await engine.predict({ type: 'float16', count: labels.length, data: rows });
  await engine.close();
  return { losses: seen, state: after, logits: scores };
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>, factor = 1): number {
  expect(a.length).toBe(b.length);
  return Array.from(a, (value, i) => Math.abs(factor * value - b[i]!)).reduce((x, y) => Math.max(x, y), 0);
}

describe('200 steps from the weights and batches of PyTorch', () => {
  let trained: Awaited<ReturnType<typeof trainFrom>>;
  beforeAll(async () => {
    trained = await trainFrom(initialState(initial), EPOCHS);
  });

  test('give its weights within 1e-5', () => {
    expect(trained.state.step).toBe(200);
    for (const name of PARAMETERS) {
      expect(largestDifference(trained.state.weights[name], expected.final[name]), name).toBeLessThan(1e-5);
    }
  });

  test('give its loss at every step and its logits in the end', () => {
    expect(largestDifference(trained.losses, losses)).toBeLessThan(1e-5);
    expect(largestDifference(trained.logits, logits)).toBeLessThan(1e-4);
  });

  test("give Adam's moments, kept as sums", () => {
    for (const name of PARAMETERS) {
      const { gradientSums, squareSums } = trained.state;
      expect(largestDifference(gradientSums[name], expected.exp_avg[name], 1 - 0.9), name).toBeLessThan(1e-6);
      expect(largestDifference(squareSums[name], expected.exp_avg_sq[name], 1 - 0.999), name).toBeLessThan(1e-7);
    }
  });

  test('give the same bits in two halves, the second from the state of the first', async () => {
    const half = await trainFrom(initialState(initial), EPOCHS / 2);
    const whole = await trainFrom(half.state, EPOCHS / 2);
    expect(whole.state).toEqual(trained.state);
  });
});

test('an engine that has seen no batch predicts with the weights that it was given', async () => {
  const engine = await createEngine('onnx', OPTIONS, initialState(initial));
  const [first] = await engine.predict({ type: 'float16', count: 1, data: new Uint16Array(24) });
  // Rows of zeros: what the biases alone give.
  const hidden = initial['net.0.bias'].map((bias) => Math.max(0, bias));
  const expectedLogit = hidden.reduce((sum, h, i) => sum + h * initial['net.2.weight'][i]!, initial['net.2.bias'][0]!);
  expect(first).toBeCloseTo(expectedLogit, 5);
  expect(await engine.state()).toEqual(initialState(initial));
  await engine.close();
});

test('rows may come as float32', async () => {
  const engine = await createEngine('onnx', { ...OPTIONS, rowType: 'float32' }, initialState(initial));
  const wide = Float32Array.from({ length: 48 }, (_, i) => Math.sin(i));
  const run: BatchRun = {
    batchSize: 2,
    rows: { type: 'float32', count: 2, data: wide.slice() },
    labels: Float32Array.of(0, 1),
  };
  const [loss] = await engine.trainBatches(run);
  expect(loss).toBeGreaterThan(0);
  expect(await engine.predict({ type: 'float32', count: 2, data: wide })).toHaveLength(2);
  await engine.close();
});

test('the TensorFlow.js engine is named as not available yet', () => {
  expect(resolveEngine('auto')).toBe('onnx');
  expect(() => resolveEngine('tfjs')).toThrow(expect.objectContaining({ code: 'ENGINE_NOT_AVAILABLE', kind: 'usage' }));
});

describe('initial weights', () => {
  const weights = initialParameters({ inputSize: 100, hiddenUnits: 400 }, 0);

  test('fill ±1/√fan_in evenly, biases too', () => {
    for (const [name, bound] of Object.entries({ 'net.0.weight': 0.1, 'net.0.bias': 0.1, 'net.2.weight': 0.05 })) {
      const values = weights[name as keyof Parameters];
      const variance = values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
      expect(Math.max(...values), name).toBeLessThanOrEqual(bound);
      expect(Math.min(...values), name).toBeGreaterThanOrEqual(-bound);
      expect(variance / (bound ** 2 / 3), name).toBeCloseTo(1, 0);
    }
  });

  test('are decided by the seed', () => {
    expect(initialParameters({ inputSize: 100, hiddenUnits: 400 }, 0)).toEqual(weights);
    expect(initialParameters({ inputSize: 100, hiddenUnits: 400 }, 1)).not.toEqual(weights);
  });
});
