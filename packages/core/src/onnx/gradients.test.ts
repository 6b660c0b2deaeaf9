import { readFile } from 'node:fs/promises';
// From the built package: the session's worker is a file of its own, which exists there only.
import { openSession, type TensorData } from '@scorer/core/onnx';
import { expect, test } from 'vitest';
import { gradients } from './gradients.js';
import { createGraph, encodeGraph } from './graph.js';
import { type Tensor, type TensorOps, tensorOps } from './ops.js';

type Inputs = Record<string, { shape: readonly number[]; values: readonly number[] }>;

/** The values of all outputs of a graph of float32 inputs. */
async function evaluator(ops: TensorOps): Promise<{
  outputs(inputs: Inputs): Promise<Record<string, Float32Array>>;
  close(): Promise<void>;
}> {
  const session = await openSession(encodeGraph(ops.graph), { device: 'cpu', threads: 1 });
  return {
    async outputs(inputs) {
      const feeds = Object.entries(inputs).map(([name, { shape, values }]): [string, TensorData] => [
        name,
        { type: 'float32', dims: shape, data: Float32Array.from(values) },
      ]);
      const outputs = await session.run(Object.fromEntries(feeds), { fetch: session.outputs });
      return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]));
    },
    close: () => session.close(),
  };
}

/** Numbers without a pattern, none near 0, where ReLU has no derivative. */
const numbers = (count: number, shift = 0): number[] =>
  Array.from({ length: count }, (_, i) => {
    const value = Math.sin(7.3 * (i + 1) + shift);
    return value + 0.3 * Math.sign(value);
  });

const constant = (ops: TensorOps, shape: readonly number[], shift = 1): Tensor =>
  ops.constant(
    'float32',
    shape,
    Float32Array.from(
      numbers(
        shape.reduce((a, b) => a * b, 1),
        shift,
      ),
    ),
  );

const square = (ops: TensorOps, x: Tensor): Tensor => ops.mul(x, x);

const CASES: [name: string, shape: readonly number[], f: (ops: TensorOps, x: Tensor) => Tensor][] = [
  ['x + c', [2, 3], (ops, x) => ops.add(x, constant(ops, [2, 3]))],
  ['x + c, x stretched along a missing axis', [3], (ops, x) => ops.add(x, constant(ops, [2, 3]))],
  ['c + x, x stretched along an axis of 1', [2, 1], (ops, x) => ops.add(constant(ops, [2, 3]), x)],
  ['x + c, c stretched', [2, 3], (ops, x) => ops.add(x, constant(ops, [3]))],
  ['x − c', [2, 3], (ops, x) => ops.sub(x, constant(ops, [2, 3]))],
  ['c − x, x stretched', [3], (ops, x) => ops.sub(constant(ops, [2, 3]), x)],
  ['x · c', [2, 3], (ops, x) => ops.mul(x, constant(ops, [2, 3]))],
  ['x · c, x a scalar', [], (ops, x) => ops.mul(x, constant(ops, [2, 3]))],
  ['x · x', [2, 3], (ops, x) => ops.mul(x, x)],
  ['x / c', [2, 3], (ops, x) => ops.div(x, constant(ops, [2, 3]))],
  ['c / x, x stretched', [2, 1], (ops, x) => ops.div(constant(ops, [2, 3]), x)],
  ['√(x² + 1)', [4], (ops, x) => ops.sqrt(ops.add(square(ops, x), ops.scalar(1)))],
  ['a·x', [3, 2], (ops, x) => ops.matMul(constant(ops, [4, 3]), x)],
  ['a·xᵀ', [2, 3], (ops, x) => ops.matMul(constant(ops, [4, 3]), x, { transposeB: true })],
  ['aᵀ·x', [3, 2], (ops, x) => ops.matMul(constant(ops, [3, 4]), x, { transposeA: true })],
  ['aᵀ·xᵀ', [2, 3], (ops, x) => ops.matMul(constant(ops, [3, 4]), x, { transposeA: true, transposeB: true })],
  ['x·b', [2, 3], (ops, x) => ops.matMul(x, constant(ops, [3, 4]))],
  ['x·bᵀ', [2, 3], (ops, x) => ops.matMul(x, constant(ops, [4, 3]), { transposeB: true })],
  ['xᵀ·b', [3, 2], (ops, x) => ops.matMul(x, constant(ops, [3, 4]), { transposeA: true })],
  ['xᵀ·bᵀ', [3, 2], (ops, x) => ops.matMul(x, constant(ops, [4, 3]), { transposeA: true, transposeB: true })],
  ['relu', [2, 3], (ops, x) => ops.relu(x)],
  ['sigmoid', [2, 3], (ops, x) => ops.sigmoid(x)],
  ['softplus', [2, 3], (ops, x) => ops.softplus(x)],
  [
    'x where x > c, in some rows',
    [2, 3],
    (ops, x) => {
      const isAbove = ops.greater(square(ops, x), ops.scalar(0.5));
      const isRow = ops.equal(constant(ops, [2, 1]), constant(ops, [2, 1]));
      return ops.mul(x, ops.cast(ops.and(isAbove, isRow), 'float32'));
    },
  ],
  ['sum of all', [2, 3], (ops, x) => ops.sum(square(ops, x))],
  ['sum over the first axis', [2, 3], (ops, x) => ops.sum(square(ops, x), { axes: [0] })],
  ['sum over the last axis, kept', [2, 3], (ops, x) => ops.sum(square(ops, x), { axes: [1], keepDims: true })],
  ['mean of all', [2, 3], (ops, x) => ops.mean(square(ops, x))],
  ['mean over the last axis', [2, 3], (ops, x) => ops.mean(square(ops, x), { axes: [1] })],
  ['cast there and back', [3], (ops, x) => ops.cast(square(ops, ops.cast(x, 'float64')), 'float32')],
  ['reshape', [2, 3], (ops, x) => ops.reshape(square(ops, x), [3, 2])],
  [
    'gather, one row twice',
    [3, 2],
    (ops, x) => ops.gather(x, ops.constant('int64', [3], BigInt64Array.of(2n, 0n, 2n))),
  ],
];

test('the gradient of each operator equals central finite differences', async () => {
  const ops = tensorOps(createGraph('operators'));
  const inputs: Inputs = {};
  for (const [name, shape, f] of CASES) {
    const x = ops.input(name, 'float32', shape);
    const y = f(ops, x);
    // Weighted, so that the gradient by y is not the same everywhere.
    const loss = ops.sum(ops.mul(y, constant(ops, y.shape as number[], 2)));
    ops.output(`loss ${name}`, loss);
    ops.output(`gradient ${name}`, gradients(ops, loss, [x])[0]!);
    inputs[name] = { shape, values: numbers(shape.reduce((a, b) => a * b, 1)) };
  }
  const { outputs, close } = await evaluator(ops);
  const analytic = await outputs(inputs);

  const step = 1e-2;
  const longest = Math.max(...Object.values(inputs).map(({ values }) => values.length));
  const shifted = (element: number, by: number): Inputs =>
    Object.fromEntries(
      Object.entries(inputs).map(([name, { shape, values }]) => [
        name,
        { shape, values: values.map((value, i) => (i === element ? value + by : value)) },
      ]),
    );
  for (let element = 0; element < longest; element++) {
    const above = await outputs(shifted(element, step));
    const below = await outputs(shifted(element, -step));
    for (const [name] of CASES) {
      const expected = analytic[`gradient ${name}`]![element];
      if (expected === undefined) continue;
      const difference = (above[`loss ${name}`]![0]! - below[`loss ${name}`]![0]!) / (2 * step);
      expect(Math.abs(difference - expected), `${name}, element ${element}`).toBeLessThan(
        1e-3 * (1 + Math.abs(expected)),
      );
    }
  }
  await close();
});

test('a function of all operators has the value and the gradients that PyTorch gives', async () => {
  const fixture = JSON.parse(await readFile(new URL('./fixtures/gradients.json', import.meta.url), 'utf8'));
  const ops = tensorOps(createGraph('function'));
  const parameters = Object.entries(fixture.inputs as Inputs).map(([name, { shape }]) =>
    ops.input(name, 'float32', shape),
  );
  const [x, w, b, u, s] = parameters as [Tensor, Tensor, Tensor, Tensor, Tensor];

  const hidden = ops.relu(ops.add(ops.matMul(x, w, { transposeB: true }), b));
  const length = ops.sqrt(ops.add(ops.sum(ops.mul(hidden, hidden), { axes: [1], keepDims: true }), ops.scalar(1)));
  const logits = ops.matMul(ops.div(hidden, length), u);
  const picked = ops.gather(logits, ops.constant('int64', [3], BigInt64Array.of(3n, 0n, 0n)));
  const gated = ops.matMul(ops.sigmoid(picked), s);
  const centred = ops.sub(hidden, ops.mean(hidden, { axes: [0] }));
  const spread = ops.sum(ops.matMul(ops.reshape(centred, [10, 2]), s));
  const loss = ops.add(ops.mean(ops.softplus(gated)), ops.mul(spread, ops.sum(gated)));
  ops.output('loss', loss);
  for (const [i, gradient] of gradients(ops, loss, parameters).entries())
    ops.output(`d${parameters[i]!.name}`, gradient);

  const { outputs, close } = await evaluator(ops);
  const results = await outputs(fixture.inputs);
  const differences = parameters.flatMap(({ name }) =>
    Array.from(results[`d${name}`]!, (value, i) => Math.abs(value - fixture.gradients[name][i])),
  );
  expect(Math.abs(results.loss![0]! - fixture.loss)).toBeLessThan(1e-5);
  expect(Math.max(...differences)).toBeLessThan(1e-5);
  await close();
});

test('softplus stays finite and exact far from 0', async () => {
  const ops = tensorOps(createGraph('softplus'));
  const x = ops.input('x', 'float32', [4]);
  const y = ops.softplus(x);
  ops.output('y', y);
  ops.output('dx', gradients(ops, ops.sum(y), [x])[0]!);
  const { outputs, close } = await evaluator(ops);
  const { y: values, dx } = await outputs({ x: { shape: [4], values: [-1000, -20, 20, 1000] } });
  expect([...values!]).toEqual([0, expect.closeTo(Math.exp(-20), 7), expect.closeTo(20, 5), 1000]);
  expect([...dx!]).toEqual([0, expect.closeTo(Math.exp(-20), 7), expect.closeTo(1, 6), 1]);
  await close();
});

test('nothing is added to the graph for operands that no parameter feeds', () => {
  const ops = tensorOps(createGraph('network'));
  const rows = ops.input('rows', 'float32', ['B', 3]);
  const weight = ops.input('weight', 'float32', [2, 3]);
  const loss = ops.sum(ops.matMul(rows, weight, { transposeB: true }));
  gradients(ops, loss, [weight]);
  const { node } = ops.graph.toProto();
  expect(node.filter(({ opType }) => opType === 'Gemm')).toHaveLength(2);
});

test('a loss that is no scalar, or that does not depend on a parameter, is refused', () => {
  const ops = tensorOps(createGraph('wrong'));
  const x = ops.input('x', 'float32', [2]);
  const other = ops.input('other', 'float32', [2]);
  expect(() => gradients(ops, x, [x])).toThrow('the loss has the shape [2], not a scalar');
  expect(() => gradients(ops, ops.sum(x), [other])).toThrow('the loss does not depend on other');
});
