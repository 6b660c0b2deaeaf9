import { type Tensor, type TensorOps, tensorOps } from '@scorer/core/onnx';
import type { AdamOptions } from './engine.js';

/** The arrays of the training state that each parameter has: M and V of `adamFactors` are the sums. */
export const STATE_GROUPS = ['weight', 'gradient_sum', 'square_sum'] as const;
export type StateGroup = (typeof STATE_GROUPS)[number];

export interface AdamStep extends Pick<AdamOptions, 'weightDecay' | 'beta1' | 'beta2'> {
  readonly rootFactor: Tensor;
  readonly rootOffset: Tensor;
}

/**
 * The two numbers of an Adam step t (from 1) that depend on t alone. In place of Adam's means the sums
 * M = Σ β1^(t − i) · g_i and V = Σ β2^(t − i) · g_i² are kept, whose factors and bias corrections are gathered here:
 *
 *     w ← w − M / (√V · rootFactor + rootOffset)
 *
 * is a step of `torch.optim.Adam` (Kingma & Ba 2015, algorithm 1) with fewer operations. In double precision, because
 * 1 − β^t cancels where t is small.
 */
export function adamFactors({ learningRate, schedule, beta1, beta2, epsilon }: AdamOptions, t: number) {
  const rate = learningRate * (schedule?.(t) ?? 1);
  // The weights stay; an infinite factor would make 0 · ∞ of a V that is 0.
  if (rate === 0) return { rootFactor: 0, rootOffset: Number.POSITIVE_INFINITY };
  const scale = (1 - beta1 ** t) / (rate * (1 - beta1));
  return { rootFactor: scale * Math.sqrt((1 - beta2) / (1 - beta2 ** t)), rootOffset: scale * epsilon };
}

/**
 * The shape in which the state arrays of a parameter go through the graph: [blocks, numbers] for one of more than
 * `blockSize` numbers, which are updated block by block.
 */
export function stateShape(shape: readonly number[], blockSize: number): readonly number[] {
  const size = shape.reduce((product, length) => product * length, 1);
  for (let blocks = Math.ceil(size / blockSize); size / blocks > blockSize / 4; blocks++) {
    if (size % blocks === 0) return blocks > 1 ? [blocks, size / blocks] : shape;
  }
  return shape;
}

/**
 * Adds a step of Adam with L2 regularisation for one parameter.
 * @param before the parameter's state, each array in `stateShape`
 * @returns the state after the step
 */
export function adamUpdate(
  ops: TensorOps,
  step: AdamStep,
  before: Record<StateGroup, Tensor>,
  gradient: Tensor,
): Record<StateGroup, Tensor> {
  const shape = before.weight.shape;
  if (shape.join() === gradient.shape.join()) return updated(ops, step, before, gradient);

  const block = tensorOps(ops.graph.subgraph('block'));
  const part = (name: string): Tensor => block.input(`block_${name}`, 'float32', shape.slice(1));
  const parts = { weight: part('weight'), gradient_sum: part('gradient_sum'), square_sum: part('square_sum') };
  const after = updated(block, step, parts, part('gradient'));
  for (const group of STATE_GROUPS) block.result(after[group]);
  const arrays = [...STATE_GROUPS.map((group) => before[group]), ops.reshape(gradient, shape)];
  const [weight, gradientSum, squareSum] = ops.graph
    .nodes('Scan', arrays, {
      attributes: { body: block.graph, num_scan_inputs: arrays.length },
      outputs: STATE_GROUPS.length,
    })
    .map((value) => ops.tensor(value, 'float32', shape));
  return { weight: weight!, gradient_sum: gradientSum!, square_sum: squareSum! };
}

function updated(
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
