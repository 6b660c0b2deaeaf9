import type { Tensor, TensorOps } from '@scorer/core/onnx';
import type { Loss } from './engine.js';

/** What the loss of a batch is computed from, each [B]. */
export interface BatchTensors {
  readonly logits: Tensor;
  readonly labels: Tensor;
  /** The question of each row, for the pairwise loss. */
  readonly groups?: Tensor | undefined;
}

/** The loss of a batch, a scalar. */
export function lossOf(ops: TensorOps, loss: Loss, batch: BatchTensors): Tensor {
  return loss.kind === 'bce' ? binaryCrossEntropy(ops, batch, loss.positiveWeight) : pairwiseLoss(ops, batch);
}

/**
 * PyTorch's BCEWithLogitsLoss, mean over the batch, with the weight p of right rows:
 * (1 − y)·z + (1 + (p − 1)·y)·log(1 + e^−z).
 */
function binaryCrossEntropy(ops: TensorOps, { logits, labels }: BatchTensors, positiveWeight: number): Tensor {
  const one = ops.scalar(1);
  const weight = ops.add(one, ops.mul(labels, ops.scalar(positiveWeight - 1)));
  const surprise = ops.softplus(ops.mul(logits, ops.scalar(-1)));
  return ops.mean(ops.add(ops.mul(ops.sub(one, labels), logits), ops.mul(weight, surprise)));
}

/** softplus(−(z_i − z_j)), mean over the pairs of one question where row i is the righter one; 0 where there is no pair. */
function pairwiseLoss(ops: TensorOps, { logits, labels, groups }: BatchTensors): Tensor {
  if (!groups) throw new TypeError('the pairwise loss needs the groups of the rows');
  const [B] = logits.shape;
  const column = (x: Tensor): Tensor => ops.reshape(x, [B!, 1]);
  const row = (x: Tensor): Tensor => ops.reshape(x, [1, B!]);
  const isPair = ops.and(ops.equal(column(groups), row(groups)), ops.greater(column(labels), row(labels))); // [B, B]
  const pairs = ops.cast(isPair, 'float32');
  const surprise = ops.softplus(ops.sub(row(logits), column(logits)));
  const count = ops.sum(pairs);
  const countOrOne = ops.add(count, ops.cast(ops.equal(count, ops.scalar(0)), 'float32'));
  return ops.div(ops.sum(ops.mul(pairs, surprise)), countOrOne);
}
