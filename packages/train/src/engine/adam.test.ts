// From the built package: the session's worker is a file of its own, which exists there only.
import { createGraph, encodeGraph, openSession, type TensorData, tensorOps } from '@scorer/core/onnx';
import { expect, test } from 'vitest';
import { adamFactors, adamUpdate, STATE_GROUPS, stateShape } from './adam.js';

test.each([
  { shape: [512, 4096], expected: [32, 65536] },
  { shape: [512, 2560], expected: [20, 65536] },
  { shape: [500, 1000], expected: [8, 62500] },
  { shape: [512], expected: [512] },
  // No number of blocks divides a prime.
  { shape: [1, 1000003], expected: [1, 1000003] },
])('the state of a parameter $shape goes through the graph as $expected', ({ shape, expected }) => {
  expect(stateShape(shape, 65536)).toEqual(expected);
});

test('a schedule scales the learning rate of each step', () => {
  const adam = { learningRate: 1e-3, weightDecay: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
  const halved = { ...adam, learningRate: 4e-3, schedule: (step: number) => 1 / 2 ** step };
  expect(adamFactors(halved, 2)).toEqual(adamFactors(adam, 2));
  expect(adamFactors({ ...adam, schedule: () => 0 }, 1)).toEqual({ rootFactor: 0, rootOffset: Infinity });
});

test('a step of Adam in blocks gives the bits of one at once', async () => {
  const size = 24;
  const step = { learningRate: 1e-2, weightDecay: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
  const values = (seed: number): Float32Array => Float32Array.from({ length: size }, (_, i) => Math.sin(seed + 3 * i));
  const arrays = {
    weight: values(1),
    gradient_sum: values(2),
    square_sum: values(3).map((x) => x ** 2),
    gradient: values(4),
  };

  const outputs = async (blockSize: number): Promise<Float32Array[]> => {
    const ops = tensorOps(createGraph('adam'));
    const shape = [4, 6];
    const state = stateShape(shape, blockSize);
    const { rootFactor, rootOffset } = adamFactors(step, 3);
    const before = {
      weight: ops.input('weight', 'float32', state),
      gradient_sum: ops.input('gradient_sum', 'float32', state),
      square_sum: ops.input('square_sum', 'float32', state),
    };
    const factors = { rootFactor: ops.scalar(rootFactor), rootOffset: ops.scalar(rootOffset) };
    const after = adamUpdate(ops, { ...step, ...factors }, before, ops.input('gradient', 'float32', shape));
    for (const group of STATE_GROUPS) ops.output(`next ${group}`, after[group]);
    const session = await openSession(encodeGraph(ops.graph), { device: 'cpu', threads: 1 });
    const feeds = Object.entries(arrays).map(([name, data]): [string, TensorData] => [
      name,
      { type: 'float32', dims: name === 'gradient' ? shape : state, data },
    ]);
    const results = await session.run(Object.fromEntries(feeds), { fetch: session.outputs });
    await session.close();
    return Object.values(results).map(({ data }) => data as Float32Array);
  };

  const whole = await outputs(size);
  expect(whole[0]).not.toEqual(arrays.weight);
  expect(await outputs(8)).toEqual(whole);
});
