import { createGraph, encodeGraph, gradients, type Tensor, type TensorOps, tensorOps } from '@scorer/core/onnx';
import type { AdamOptions, EngineOptions } from './engine.js';
import {
  forEachParameter,
  logitsOf,
  PARAMETERS,
  type ParameterName,
  type Parameters,
  parameterShapes,
} from './network.js';

/** The three arrays of the training state that each parameter has. */
export const STATE_GROUPS = ['weight', 'gradient_sum', 'square_sum'] as const;
export type StateGroup = (typeof STATE_GROUPS)[number];

/** Name of a state array among the inputs of the training graph. */
export const stateInput = (group: StateGroup, parameter: ParameterName): string => `${group}:${parameter}`;

/** Name of the same array, after the run, among its outputs. */
export const stateOutput = (group: StateGroup, parameter: ParameterName): string => `next_${group}:${parameter}`;

/**
 * One model that takes K optimiser steps in one run, a Scan over minibatches of one size:
 *
 *     rows [K, B, D], labels [K, B]             row-major, so that batches simply follow one another
 *     root_factors [K], root_offsets [K]        of each step, see `adamUpdate`
 *     <group>:<parameter>                       the state before
 *     → losses [K], next_<group>:<parameter>    the state after
 *
 * Rows stay as they are stored (float16) until their batch is cast, so that they cost half the copying.
 */
export function trainingGraph({ network, adam, positiveWeight, rowType }: EngineOptions): Uint8Array {
  const shapes = parameterShapes(network);
  const ops = tensorOps(createGraph('train'));
  const stateOrder = STATE_GROUPS.flatMap((group) => PARAMETERS.map((name, i) => ({ group, name, i })));
  const initialState = stateOrder.map(({ group, name }) => ops.input(stateInput(group, name), 'float32', shapes[name]));
  const perBatch = [
    ops.input('rows', rowType, ['K', 'B', network.inputSize]),
    ops.input('labels', 'float32', ['K', 'B']),
    ops.input('root_factors', 'float32', ['K']),
    ops.input('root_offsets', 'float32', ['K']),
  ];

  const body = tensorOps(ops.graph.subgraph('step'));
  const state = stateTensors((group, name) => body.input(`before_${group}:${name}`, 'float32', shapes[name]));
  const rows = body.input('batch_rows', rowType, ['B', network.inputSize]);
  const labels = body.input('batch_labels', 'float32', ['B']);
  const rootFactor = body.input('root_factor', 'float32', []);
  const rootOffset = body.input('root_offset', 'float32', []);

  const logits = logitsOf(body, body.cast(rows, 'float32'), state.weight); // [B, 1]
  const loss = binaryCrossEntropy(body, body.reshape(logits, ['B']), labels, positiveWeight);
  const weights = PARAMETERS.map((name) => state.weight[name]);
  const updated = gradients(body, loss, weights).map((gradient, i) => {
    const name = PARAMETERS[i]!;
    const { weight, gradient_sum, square_sum } = state;
    const before = { weight: weight[name], gradient_sum: gradient_sum[name], square_sum: square_sum[name] };
    return adamUpdate(body, { ...adam, rootFactor, rootOffset }, before, gradient);
  });
  for (const { group, i } of stateOrder) body.result(updated[i]![group]);
  body.result(loss);

  const results = ops.graph.nodes('Scan', [...initialState, ...perBatch], {
    attributes: { body: body.graph, num_scan_inputs: perBatch.length },
    outputs: stateOrder.length + 1,
  });
  for (const [at, { group, name }] of stateOrder.entries()) {
    ops.output(stateOutput(group, name), ops.tensor(results[at]!, 'float32', shapes[name]));
  }
  ops.output('losses', ops.tensor(results.at(-1)!, 'float32', ['K']));
  return encodeGraph(ops.graph);
}

function stateTensors(
  make: (group: StateGroup, name: ParameterName) => Tensor,
): Record<StateGroup, Parameters<Tensor>> {
  const of = (group: StateGroup): Parameters<Tensor> => forEachParameter((name) => make(group, name));
  return { weight: of('weight'), gradient_sum: of('gradient_sum'), square_sum: of('square_sum') };
}

/**
 * PyTorch's BCEWithLogitsLoss, mean over the batch, with the weight p of right rows:
 * (1 − y)·z + (1 + (p − 1)·y)·log(1 + e^−z).
 */
function binaryCrossEntropy(ops: TensorOps, logits: Tensor, labels: Tensor, positiveWeight: number): Tensor {
  const one = ops.scalar(1);
  const weight = ops.add(one, ops.mul(labels, ops.scalar(positiveWeight - 1)));
  const surprise = ops.softplus(ops.mul(logits, ops.scalar(-1)));
  return ops.mean(ops.add(ops.mul(ops.sub(one, labels), logits), ops.mul(weight, surprise)));
}

interface AdamStep extends AdamOptions {
  readonly rootFactor: Tensor;
  readonly rootOffset: Tensor;
}

/**
 * One step of `torch.optim.Adam` (Kingma & Ba 2015, algorithm 1, with L2 regularisation), arranged for few passes over
 * memory, which cost as much as the matrix products. In place of the means m and v it keeps the sums M = m / (1 − β1)
 * and V = v / (1 − β2); with what depends on the step t alone gathered in two numbers,
 *
 *     w ← w − M / (√V · rootFactor + rootOffset)
 */
function adamUpdate(
  ops: TensorOps,
  { weightDecay, beta1, beta2, rootFactor, rootOffset }: AdamStep,
  { weight, gradient_sum, square_sum }: Record<StateGroup, Tensor>,
  gradient: Tensor,
): Record<StateGroup, Tensor> {
  const scaled = (x: Tensor, factor: number): Tensor => ops.mul(x, ops.scalar(factor));
  const g = ops.add(gradient, scaled(weight, weightDecay));
  const M = ops.add(scaled(gradient_sum, beta1), g);
  const V = ops.add(scaled(square_sum, beta2), ops.mul(g, g));
  const denominator = ops.add(ops.mul(ops.sqrt(V), rootFactor), rootOffset);
  return { weight: ops.sub(weight, ops.div(M, denominator)), gradient_sum: M, square_sum: V };
}

/** The factors of `adamUpdate` at step t (from 1): in double precision, because 1 − β^t cancels where t is small. */
export function adamFactors({ learningRate, beta1, beta2, epsilon }: AdamOptions, t: number) {
  const scale = (1 - beta1 ** t) / (learningRate * (1 - beta1));
  return { rootFactor: scale * Math.sqrt((1 - beta2) / (1 - beta2 ** t)), rootOffset: scale * epsilon };
}
