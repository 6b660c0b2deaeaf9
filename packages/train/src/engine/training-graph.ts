import {
  createGraph,
  type Dimension,
  type ElementType,
  type Graph,
  gradients,
  type Tensor,
  type TensorOps,
  tensorOps,
} from '@scorer/core/onnx';
import { adamUpdate, STATE_GROUPS, type StateGroup, stateShape } from './adam.js';
import type { EngineOptions, InputTransform } from './engine.js';
import { trainedNetwork } from './fold.js';
import { lossOf } from './losses.js';
import { forEachParameter, logitsOf, type Parameters, parameterNames, parameterShapes } from './network.js';

/** Name of a state array among the inputs of the training graph. */
export const stateInput = (group: StateGroup, parameter: string): string => `${group}:${parameter}`;

/** Name of the same array, after the run, among its outputs. */
export const stateOutput = (group: StateGroup, parameter: string): string => `next_${group}:${parameter}`;

/** Name of the input with the dropout masks of a hidden layer. */
export const maskInput = (layer: number): string => `masks:${layer}`;

/**
 * One model that takes K optimiser steps in one run, a Scan over minibatches of one size:
 *
 *     rows [K, B, D], labels [K, B]             row-major, so that batches simply follow one another
 *     groups [K, B]                             for the pairwise loss: the question of each row
 *     masks:<layer> [K, units, B]               for dropout: 1 = the unit stays, 0 = it is left out
 *     root_factors [K], root_offsets [K]        of each step, by `adamFactors`
 *     <group>:<parameter>                       the state before, in `stateShape`
 *     → losses [K], next_<group>:<parameter>    the state after
 *
 * Rows stay as they are stored (float16) until their batch is cast, so that they cost half the copying.
 * @param blockSize of `stateShape`
 */
export function trainingGraph(options: EngineOptions, blockSize: number): Graph {
  const { adam, rowType, dropout } = options;
  const network = trainedNetwork(options.network, options.inputTransform);
  const names = parameterNames(network);
  const shapes = parameterShapes(network);
  const stateShapes = forEachParameter(network, (name) => stateShape(shapes[name]!, blockSize));
  const ops = tensorOps(createGraph('train'));
  const body = tensorOps(ops.graph.subgraph('step'));

  // A Scan takes and gives its state by order.
  const stateOrder = STATE_GROUPS.flatMap((group) => names.map((name, i) => ({ group, name, i })));
  const initialState = stateOrder.map(({ group, name }) =>
    ops.input(stateInput(group, name), 'float32', stateShapes[name]!),
  );
  const inBody = stateOrder.map(({ group, name }) =>
    body.input(`before_${group}:${name}`, 'float32', stateShapes[name]!),
  );
  const before = names.map((_, i): Record<StateGroup, Tensor> => {
    const [weight, gradient_sum, square_sum] = STATE_GROUPS.map((_, group) => inBody[group * names.length + i]!);
    return { weight: weight!, gradient_sum: gradient_sum!, square_sum: square_sum! };
  });

  // An input with one entry for each batch, and the entry of the batch at hand.
  const perBatch: Tensor[] = [];
  const ofBatch = (name: string, type: ElementType, shape: readonly Dimension[]): Tensor => {
    perBatch.push(ops.input(name, type, ['K', ...shape]));
    return body.input(`batch_${name}`, type, shape);
  };
  const rows = ofBatch('rows', rowType, ['B', options.network.inputSize]);
  const labels = ofBatch('labels', 'float32', ['B']);
  const groups = options.loss.kind === 'pairwise' ? ofBatch('groups', 'int32', ['B']) : undefined;
  const masks = (dropout > 0 ? network.hiddenUnits : []).map((units, layer) =>
    ofBatch(maskInput(layer), 'uint8', [units, 'B']),
  );
  const step = {
    rootFactor: ofBatch('root_factors', 'float32', []),
    rootOffset: ofBatch('root_offsets', 'float32', []),
  };

  const inputs = transformed(body, body.cast(rows, 'float32'), options.inputTransform);
  const weights: Parameters<Tensor> = forEachParameter(network, (name) =>
    body.reshape(before[names.indexOf(name)]!.weight, shapes[name]!),
  );
  const kept = masks.map((mask) => body.mul(body.cast(mask, 'float32'), body.scalar(1 / (1 - dropout))));
  const logits = logitsOf(body, network, inputs, weights, kept);
  const loss = lossOf(body, options.loss, { logits, labels, groups });
  const updated = gradients(body, loss, Object.values(weights)).map((gradient, i) =>
    adamUpdate(body, { ...adam, ...step }, before[i]!, gradient),
  );
  for (const { group, i } of stateOrder) body.result(updated[i]![group]);
  body.result(loss);

  const results = ops.graph.nodes('Scan', [...initialState, ...perBatch], {
    attributes: { body: body.graph, num_scan_inputs: perBatch.length },
    outputs: stateOrder.length + 1,
  });
  for (const [at, { group, name }] of stateOrder.entries()) {
    ops.output(stateOutput(group, name), ops.tensor(results[at]!, 'float32', stateShapes[name]!));
  }
  ops.output('losses', ops.tensor(results.at(-1)!, 'float32', ['K']));
  return ops.graph;
}

/** Rows as the first Linear reads them: ((x − mean) / scale) · componentsᵀ. */
function transformed(ops: TensorOps, rows: Tensor, transform: InputTransform | undefined): Tensor {
  if (!transform) return rows;
  const { mean, scale, components } = transform;
  const D = mean.length;
  const standardised = ops.div(ops.sub(rows, ops.constant('float32', [D], mean)), ops.constant('float32', [D], scale));
  if (!components) return standardised;
  return ops.matMul(standardised, ops.constant('float32', [components.length / D, D], components), {
    transposeB: true,
  });
}
