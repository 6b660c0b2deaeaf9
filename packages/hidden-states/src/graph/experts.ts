import { int64, type Value } from '@scorer/core/onnx';
import { type Experts, expertTensors, type LayerTensorNames } from '../model/decoder-spec.js';
import type { Builder } from './builder.js';
import { linear } from './projections.js';
import { swiGlu } from './swiglu.js';

/**
 * The sum of a token's k best experts, weighted by their probabilities; […, D] → the same. Each expert gets the rows of
 * its tokens alone, and a token's outputs are added in the order of its probabilities: the result is a function of the
 * tokens, not of threads.
 */
export function mixtureOfExperts(builder: Builder, tensors: LayerTensorNames, experts: Experts, states: Value): Value {
  const { graph, spec } = builder;
  const { count: E, perToken: k, intermediateSize: I } = experts;
  const D = spec.hiddenSize;
  const rows = graph.node('Reshape', [states, int64(graph, [-1, D])]); // [N, D]
  const { weights, chosen } = route(builder, tensors, experts, rows);

  // The N·k pairs of token and expert, sorted by expert.
  const byToken = graph.node('Reshape', [chosen, int64(graph, [-1])]);
  const order = sortingOrder(builder, byToken);
  const tokens = graph.node('Div', [order, int64(graph, [k])]);
  const sorted = graph.node('Gather', [rows, tokens]); // [N·k, D]
  const parts = graph.nodes('Split', [sorted, rowsOfExperts(builder, byToken, E)], {
    outputs: E,
    attributes: { axis: 0 },
  });
  const computed = parts.map((part, e) => swiGlu(builder, expertTensors(tensors.experts!, e), part, I));

  const outputs = graph.node('Concat', computed, { attributes: { axis: 0 } });
  // What sorts a permutation is its inverse.
  const back = graph.node('Gather', [outputs, sortingOrder(builder, order)]);
  const perToken = graph.node('Reshape', [back, int64(graph, [-1, k, D])]);
  const weighted = graph.node('Mul', [perToken, graph.node('Unsqueeze', [weights, int64(graph, [-1])])]);
  const sum = graph.node('ReduceSum', [weighted, int64(graph, [1])], { attributes: { keepdims: 0 } });
  return graph.node('Reshape', [sum, graph.node('Shape', [states])]);
}

/**
 * Which experts a token takes, and by what weight: softmax over all in float32, then the k best.
 * @returns both [N, k], best first; of equal ones the lower number
 */
function route(
  builder: Builder,
  tensors: LayerTensorNames,
  { count, perToken, normalizedWeights }: Experts,
  rows: Value,
): { weights: Value; chosen: Value } {
  const { graph, spec, options } = builder;
  const logits = linear(builder, rows, tensors.router!, { from: spec.hiddenSize, to: count, bias: false });
  const exact = options.compute === 'float32' ? logits : graph.cast(logits, 'float32');
  const probabilities = graph.node('Softmax', [exact], { attributes: { axis: -1 } });
  const [best, chosen] = graph.nodes('TopK', [probabilities, int64(graph, [perToken])], { outputs: 2 });
  const sum = (): Value => graph.node('ReduceSum', [best!, int64(graph, [-1])]);
  const weights = normalizedWeights ? graph.node('Div', [best!, sum()]) : best!;
  return { weights: options.compute === 'float32' ? weights : graph.cast(weights, options.compute), chosen: chosen! };
}

/** Indices in which `keys` ascend, [n]. */
function sortingOrder({ graph }: Builder, keys: Value): Value {
  const length = graph.node('Shape', [keys]);
  return graph.nodes('TopK', [keys, length], { outputs: 2, attributes: { largest: 0 } })[1]!;
}

/** How many of the pairs are of each expert, int64 [E]. */
function rowsOfExperts({ graph }: Builder, byToken: Value, count: number): Value {
  const numbers = int64(
    graph,
    Array.from({ length: count }, (_, e) => e),
  ); // [E]
  const column = graph.node('Unsqueeze', [byToken, int64(graph, [1])]);
  const isOf = graph.cast(graph.node('Equal', [column, numbers]), 'float32'); // [N·k, E]
  return graph.cast(graph.node('ReduceSum', [isOf, int64(graph, [0])], { attributes: { keepdims: 0 } }), 'int64');
}
