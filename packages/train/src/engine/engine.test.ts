import { describe, expect, test } from 'vitest';
import { type BatchRun, createEngine, type EngineOptions, initialState, type TrainingState } from './engine.js';
import { initialParameters } from './network.js';
import { testAgainstTorch } from './torch-cases.test.support.js';

testAgainstTorch((options, state) => createEngine('onnx', options, state));

const OPTIONS: EngineOptions = {
  network: { inputSize: 24, hiddenUnits: [16] },
  rowType: 'float32',
  adam: { learningRate: 1e-2, weightDecay: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  loss: { kind: 'bce', positiveWeight: 1 },
  dropout: 0,
  seed: 0,
  device: 'cpu',
  threads: 1,
};

test('an engine that has seen no batch predicts with the weights that it was given', async () => {
  const initial = initialParameters(OPTIONS.network, 0);
  const engine = await createEngine('onnx', OPTIONS, initialState(initial));
  const [first] = await engine.predict({ type: 'float32', count: 1, data: new Float32Array(24) });
  // Rows of zeros: what the biases alone give.
  const hidden = initial['net.0.bias']!.map((bias) => Math.max(0, bias));
  const weight = initial['net.2.weight']!;
  const expectedLogit = hidden.reduce((sum, h, i) => sum + h * weight[i]!, initial['net.2.bias']![0]!);
  expect(first).toBeCloseTo(expectedLogit, 5);
  expect(await engine.state()).toEqual(initialState(initial));
  await engine.close();
});

test('a batch without a pair of one question has the pairwise loss 0, and moves no weight without weight decay', async () => {
  const initial = initialParameters(OPTIONS.network, 0);
  const adam = { ...OPTIONS.adam, weightDecay: 0 };
  const options: EngineOptions = { ...OPTIONS, adam, loss: { kind: 'pairwise' } };
  const engine = await createEngine('onnx', options, initialState(initial));
  const run: BatchRun = {
    batchSize: 3,
    rows: { type: 'float32', count: 3, data: Float32Array.from({ length: 72 }, (_, i) => Math.sin(i)) },
    // Two rows of one question are both right; the wrong one is of another.
    labels: Float32Array.of(1, 1, 0),
    groups: Int32Array.of(5, 5, 6),
  };
  expect(await engine.trainBatches(run)).toEqual(Float32Array.of(0));
  expect(await engine.state()).toEqual({ ...initialState(initial), step: 1 });
  await engine.close();
});

test('however many batches it takes in a call, an engine ends with the same bits', async () => {
  const [batchSize, batches] = [16, 24];
  const rows = Float32Array.from({ length: batches * batchSize * 24 }, (_, i) => Math.sin(i * i));
  const labels = Float32Array.from({ length: batches * batchSize }, (_, i) => Number(Math.cos(3 * i) > 0));
  const stateAfterRunsOf = async (batchesPerRun: number): Promise<TrainingState> => {
    const options = { ...OPTIONS, dropout: 0.25 };
    const engine = await createEngine('onnx', options, initialState(initialParameters(OPTIONS.network, 0)));
    const count = batchSize * batchesPerRun;
    for (let from = 0; from < labels.length; from += count) {
      await engine.trainBatches({
        batchSize,
        rows: { type: 'float32', count, data: rows.slice(from * 24, (from + count) * 24) },
        labels: labels.slice(from, from + count),
      });
    }
    const state = await engine.state();
    await engine.close();
    return state;
  };
  const oneByOne = await stateAfterRunsOf(1);
  for (const batchesPerRun of [3, 8, 24]) expect(await stateAfterRunsOf(batchesPerRun)).toEqual(oneByOne);
});

test('rows may come as float32', async () => {
  const engine = await createEngine('onnx', OPTIONS, initialState(initialParameters(OPTIONS.network, 0)));
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

describe('initial weights', () => {
  const weights = initialParameters({ inputSize: 100, hiddenUnits: [400] }, 0);

  test('fill ±1/√fan_in evenly, biases too', () => {
    for (const [name, bound] of Object.entries({ 'net.0.weight': 0.1, 'net.0.bias': 0.1, 'net.2.weight': 0.05 })) {
      const values = weights[name]!;
      const variance = values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
      expect(Math.max(...values), name).toBeLessThanOrEqual(bound);
      expect(Math.min(...values), name).toBeGreaterThanOrEqual(-bound);
      expect(variance / (bound ** 2 / 3), name).toBeCloseTo(1, 0);
    }
  });

  test('are decided by the seed', () => {
    expect(initialParameters({ inputSize: 100, hiddenUnits: [400] }, 0)).toEqual(weights);
    expect(initialParameters({ inputSize: 100, hiddenUnits: [400] }, 1)).not.toEqual(weights);
  });
});
