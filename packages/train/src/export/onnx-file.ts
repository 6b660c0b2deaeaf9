import { createGraph, encodePortableGraph, tensorOps } from '@scorer/core/onnx';
import type { FeatureRows } from '../engine/engine.js';
import { logitsOf, type NetworkShape, type Parameters, parameterShapes } from '../engine/network.js';

/** Names of the exported graph's input [N, D] and outputs [N]. */
const ROWS = 'hidden_states';
const LOGITS = 'logit';
const PROBABILITIES = 'probability';

/** The bytes of an ONNX model with the weights inside: rows of hidden states to logits and probabilities, any number of them. */
export function encodeOnnx(network: NetworkShape, weights: Parameters, rowType: FeatureRows['type']): Uint8Array {
  const graph = createGraph('scorer');
  const ops = tensorOps(graph);
  const rows = ops.input(ROWS, rowType, ['N', network.inputSize]);
  const parameters = Object.fromEntries(
    Object.entries(parameterShapes(network)).map(([name, shape]) => [
      name,
      ops.tensor(graph.constant('float32', shape, weights[name]!, name), 'float32', shape),
    ]),
  );
  const logits = ops.reshape(logitsOf(ops, network, ops.cast(rows, 'float32'), parameters), ['N']);
  ops.output(LOGITS, logits);
  ops.output(PROBABILITIES, ops.sigmoid(logits));
  return encodePortableGraph(graph);
}
