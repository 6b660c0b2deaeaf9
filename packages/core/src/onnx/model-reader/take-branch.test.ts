import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSession } from '@scorer/core/onnx';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createGraph, encodeGraph, type Graph, type Value } from '../graph.js';
import { cutModel } from './cut-model.js';
import { readOnnxModel } from './read-model.js';
import { takeBranch } from './take-branch.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'branch-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** y = flag ? x · 3 : x + 5, each branch with its own constant, x from outside of it, and outputs of its own names. */
async function model(conditionOf = (flag: Value, _: Graph): Value => flag) {
  const graph = createGraph('test');
  const x = graph.input('x', 'float32', ['n']);
  const flag = graph.input('flag', 'bool', [1]);
  const branch = (operator: string, number: number): Graph => {
    const body = graph.subgraph(operator);
    const constant = body.constant('float32', [1], Float32Array.of(number));
    body.result(body.node(operator, [x, constant]), 'float32', ['n']);
    return body;
  };
  const attributes = { then_branch: branch('Mul', 3), else_branch: branch('Add', 5) };
  const y = graph.node('If', [conditionOf(flag, graph)], { attributes });
  graph.output('y', graph.node('Neg', [y]), 'float32', ['n']);
  writeFileSync(join(folder, 'model.onnx'), encodeGraph(graph));
  return readOnnxModel(join(folder, 'model.onnx'));
}

describe('a model whose input decides a branch', () => {
  test.each([
    [true, -6],
    [false, -7],
  ])('computes the branch for %s without it', async (value, expected) => {
    const taken = takeBranch(await model(), 'flag', value);
    expect(taken.nodes.map(({ operator }) => operator)).not.toContain('If');
    const end = createGraph('end', { prefix: 'end.' });
    end.output('end', { name: 'y' }, 'float32', ['n']);
    const cut = cutModel(taken, ['y'], end);
    expect(cut.inputs.map(({ name }) => name)).toEqual(['x']);
    const session = await openSession(cut.bytes, { device: 'cpu' });
    const { end: y } = await session.run(
      { x: { type: 'float32', dims: [1], data: Float32Array.of(2) } },
      { fetch: ['end'] },
    );
    await session.close();
    expect(y!.data).toEqual(Float32Array.of(expected));
  });

  test('stays as it is where another value decides', async () => {
    const other = await model((flag, graph) => graph.node('Not', [flag]));
    expect(takeBranch(other, 'flag', false)).toBe(other);
    expect(takeBranch(other, 'x', false)).toBe(other);
  });

  test('is refused where a branch is missing or has too few outputs', async () => {
    const graph = createGraph('broken');
    const flag = graph.input('flag', 'bool', [1]);
    const attributes = { then_branch: graph.subgraph('empty') };
    graph.output('y', graph.node('If', [flag], { attributes }), 'float32', [1]);
    writeFileSync(join(folder, 'model.onnx'), encodeGraph(graph));
    const broken = await readOnnxModel(join(folder, 'model.onnx'));
    for (const value of [true, false]) {
      expect(() => takeBranch(broken, 'flag', value)).toThrow(expect.objectContaining({ code: 'ONNX_INVALID' }));
    }
  });
});
