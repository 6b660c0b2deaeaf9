import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { createGraph, encodeGraph, float32, int64 } from './graph.js';

test('a graph with attributes, constants, an absent input and a loop runs in ONNX Runtime', async () => {
  // y = clip(x, max = 4) summed over the last axis, then doubled three times.
  const graph = createGraph('test');
  const x = graph.input('x', 'float32', [2, 'n']);
  const clipped = graph.node('Clip', [x, undefined, float32(graph, 4)]);
  const total = graph.node('ReduceSum', [clipped, int64(graph, [1])], { attributes: { keepdims: 0 } });

  const body = graph.subgraph('body');
  body.input('iteration', 'int64', []);
  const going = body.input('going', 'bool', []);
  const state = body.input('state', 'float32', [2]);
  body.output('still_going', going, 'bool', []);
  body.output('doubled', body.node('Add', [state, state]), 'float32', [2]);

  const count = graph.constant('int64', [], BigInt64Array.of(3n));
  const y = graph.node('Loop', [count, undefined, total], { attributes: { body } });
  graph.output('y', y, 'float32', [2]);

  const session = await InferenceSession.create(encodeGraph(graph));
  const outputs = await session.run({ x: new Tensor('float32', Float32Array.of(1, 2, 9, 1, 1, 1), [2, 3]) });
  expect([...(outputs.y!.data as Float32Array)]).toEqual([56, 24]);
});

test('equal graphs have equal bytes', () => {
  const build = (): Uint8Array => {
    const graph = createGraph('same');
    graph.output('y', graph.cast(graph.input('x', 'float32', ['n']), 'float16'), 'float16', ['n']);
    return encodeGraph(graph);
  };
  expect(build()).toEqual(build());
});
