import { describe, expect, test } from 'vitest';
import { createGraph, type Dimension } from './graph.js';
import { type TensorOps, tensorOps } from './ops.js';

const newOps = (): TensorOps => tensorOps(createGraph('shapes'));

describe('operators know the shapes of their results', () => {
  test.each<[Dimension[], Dimension[], Dimension[]]>([
    [[2, 3], [3], [2, 3]],
    [
      [2, 1],
      [1, 3],
      [2, 3],
    ],
    [[], [4], [4]],
    [['B', 5], [5], ['B', 5]],
    [
      ['B', 1],
      ['B', 7],
      ['B', 7],
    ],
    [[1], ['B'], ['B']],
  ])('[%s] and [%s] broadcast to [%s]', (a, b, expected) => {
    const ops = newOps();
    const sum = ops.add(ops.input('a', 'float32', a), ops.input('b', 'float32', b));
    expect(sum).toMatchObject({ type: 'float32', shape: expected });
  });

  test('matMul takes transposed operands and a length known by name', () => {
    const ops = newOps();
    const rows = ops.input('rows', 'float32', ['B', 4]);
    const weight = ops.input('weight', 'float32', [8, 4]);
    const product = ops.matMul(rows, weight, { transposeB: true });
    expect(product.shape).toEqual(['B', 8]);
    expect(ops.matMul(product, rows, { transposeA: true }).shape).toEqual([8, 4]);
  });

  test('reductions, gather, cast and reshape', () => {
    const ops = newOps();
    const x = ops.input('x', 'float16', ['B', 4]);
    const indices = ops.input('indices', 'int64', ['N']);
    expect(ops.sum(x).shape).toEqual([]);
    expect(ops.mean(x, { axes: [0], keepDims: true }).shape).toEqual([1, 4]);
    expect(ops.gather(x, indices).shape).toEqual(['N', 4]);
    expect(ops.cast(x, 'float32')).toMatchObject({ type: 'float32', shape: ['B', 4] });
    expect(ops.reshape(x, ['C', 2]).shape).toEqual(['C', 2]);
  });
});

test('comparisons broadcast and give bool, which no gradient flows through', () => {
  const ops = newOps();
  const column = ops.input('column', 'int32', ['B', 1]);
  const isSame = ops.equal(column, ops.input('row', 'int32', [1, 'B']));
  expect(isSame).toMatchObject({ type: 'bool', shape: ['B', 'B'], operands: [] });
  expect(ops.and(isSame, ops.greater(column, column)).type).toBe('bool');
});

describe('operands that do not fit are refused while the graph is built', () => {
  test.each<[string, (ops: TensorOps) => unknown, string]>([
    ['lengths', (ops) => ops.add(input(ops, [2]), input(ops, [3])), 'Add does not take the shapes [2] and [3]'],
    ['names', (ops) => ops.mul(input(ops, ['B']), input(ops, ['C'])), 'Mul does not take the shapes [B] and [C]'],
    ['inner lengths', (ops) => ops.matMul(input(ops, [2, 3]), input(ops, [2, 3])), 'matMul does not take'],
    ['vectors', (ops) => ops.matMul(input(ops, [3]), input(ops, [3, 2])), 'matMul does not take'],
    ['types', (ops) => ops.add(input(ops, [2]), ops.input('h', 'float16', [2])), 'Add of float32 and float16'],
    ['two unknown lengths', (ops) => ops.reshape(input(ops, ['B']), ['C', 'D']), 'reshape does not take'],
    ['indices', (ops) => ops.gather(input(ops, [3]), input(ops, [3])), 'gather does not take'],
  ])('%s', (_, build, message) => {
    expect(() => build(newOps())).toThrow(message);
  });
});

function input(ops: TensorOps, shape: readonly Dimension[]) {
  return ops.input('x', 'float32', shape);
}
