import type { OnnxModel, OnnxNode } from '@scorer/core/onnx';
import { expect, test } from 'vitest';
import { findResidualStream } from './residual-stream.js';

type Node = [operator: string, inputs: string[], outputs: string[]];

/** A decoder with one sublayer, up to its final norm. */
const BODY: Node[] = [
  ['Gather', ['table', 'input_ids'], ['x0']],
  ['Norm', ['x0', 'weight'], ['n0']],
  ['MatMul', ['n0', 'matrix'], ['m0']],
  ['Add', ['x0', 'm0'], ['x1']],
  ['Norm', ['x1', 'weight'], ['n1']],
];
const STREAM = { sums: ['x0', 'x1'], normed: 'n1' };

const modelOf = (nodes: readonly Node[]): OnnxModel => ({
  folder: '',
  files: [],
  inputs: [{ name: 'input_ids', type: 'int64', shape: undefined, typeNumber: 7 }],
  outputs: [{ name: 'logits', type: 'float32', shape: undefined, typeNumber: 1 }],
  nodes: nodes.map(
    ([operator, inputs, outputs]): OnnxNode => ({
      ...{ operator, inputs, outputs },
      ...{ name: '', captured: [], refersToFiles: false, bytes: new Uint8Array() },
    }),
  ),
  initializers: new Map(),
  rest: new Uint8Array(),
});

const heads: Record<string, Node[]> = {
  'one product': [['MatMul', ['n1', 'head'], ['logits']]],
  'a bias, a scale and a cap': [
    ['Gemm', ['n1', 'head'], ['p']],
    ['Add', ['bias', 'p'], ['b']],
    ['Div', ['b', 'cap'], ['d']],
    ['Tanh', ['d'], ['t']],
    ['Mul', ['t', 'cap'], ['logits']],
  ],
  'the last token alone': [
    ['Slice', ['n1', 'starts', 'ends'], ['last']],
    ['MatMulNBits', ['last', 'head', 'scales'], ['p']],
    ['Cast', ['p'], ['logits']],
  ],
  'eight bits': [
    ['DynamicQuantizeLinear', ['n1'], ['q', 'scale', 'zero']],
    ['MatMulInteger', ['q', 'head', 'zero'], ['p']],
    ['Cast', ['p'], ['f']],
    ['Mul', ['scale', 'headScale'], ['s']],
    ['Mul', ['f', 's'], ['logits']],
  ],
  'eight bits in one node': [['DynamicQuantizeMatMul', ['n1', 'head', 'scale'], ['logits']]],
  'rounded inputs and outputs': [
    ['QuantizeLinear', ['n1', 'scale'], ['q']],
    ['DequantizeLinear', ['q', 'scale'], ['r']],
    ['MatMul', ['r', 'head'], ['p']],
    ['QuantizeLinear', ['p', 'scale'], ['l']],
    ['DequantizeLinear', ['l', 'scale'], ['logits']],
  ],
};

test.each(Object.entries(heads))('the states before the head are what it multiplies, with %s', (_, head) => {
  expect(findResidualStream(modelOf([...BODY, ...head]))).toEqual(STREAM);
});

/** Two sublayers, and between them a node that makes `y1` of `x1`. */
const twoSublayers = (between: string): Node[] => [
  ...BODY.slice(0, -1),
  [between, ['x1'], ['y1']],
  ['Norm', ['y1', 'weight'], ['n1']],
  ['MatMul', ['n1', 'matrix'], ['m1']],
  ['Add', ['m1', 'y1'], ['x2']],
  ['Norm', ['x2', 'weight'], ['n2']],
  ['MatMul', ['n2', 'head'], ['logits']],
];

test('a sum is found behind a node that only hands it on', () => {
  expect(findResidualStream(modelOf(twoSublayers('Identity')))).toEqual({ sums: ['x0', 'x1', 'x2'], normed: 'n2' });
});

test('a stream that can be followed for some of its layers alone is refused', () => {
  const { problem } = findResidualStream(modelOf(twoSublayers('Mystery'))) as { problem: string };
  expect(problem).toMatch(/below y1/);
});

test('embeddings are found that were made anew for each of their readers', () => {
  const nodes = twoSublayers('Identity').map(
    (node): Node => (node[2][0] === 'n0' ? ['Norm', ['again', 'weight'], ['n0']] : node),
  );
  const model = modelOf([['Gather', ['table', 'input_ids'], ['again']], ...nodes]);
  expect(findResidualStream(model)).toEqual({ sums: ['x0', 'x1', 'x2'], normed: 'n2' });
});

test('what makes the logits by an operator of no known meaning is not looked through', () => {
  const { problem } = findResidualStream(modelOf([...BODY, ['Mystery', ['n1'], ['logits']]])) as { problem: string };
  expect(problem).toMatch(/Mystery/);
});

test('a graph with a value that depends on itself has no stream, and does not take for ever', () => {
  const loop: Node[] = BODY.map(([operator, inputs, outputs]) =>
    outputs[0] === 'x0' ? ['Add', ['logits', 'm0'], outputs] : [operator, inputs, outputs],
  );
  const { problem } = findResidualStream(modelOf([...loop, ...heads['one product']!])) as { problem: string };
  expect(problem).toMatch(/depend on themselves/);
});

test('inputs and outputs that are left out tie nothing together', () => {
  const nodes = [...BODY, ...heads['one product']!].map(
    ([operator, inputs, outputs]): Node => [operator, [...inputs, ''], [...outputs, '']],
  );
  expect(findResidualStream(modelOf(nodes))).toEqual(STREAM);
});
