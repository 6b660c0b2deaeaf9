import type { Tensor, TensorOps } from './ops.js';

/**
 * Adds to the graph the gradient of a scalar loss by each of the parameters, by reverse accumulation over the
 * operators between them (Griewank & Walther, Evaluating Derivatives, ch. 3). Nothing is added for operands that no
 * parameter feeds.
 * @param ops of the graph in which the loss was computed
 * @returns tensors of the parameters' types and shapes, in their order
 */
export function gradients(ops: TensorOps, loss: Tensor, parameters: readonly Tensor[]): Tensor[] {
  if (loss.shape.length !== 0) throw new RangeError(`the loss has the shape [${loss.shape.join(', ')}], not a scalar`);
  const gradientOf = new Map<Tensor, Tensor>([[loss, ops.scalar(1, loss.type)]]);
  const path = between(loss, parameters);
  for (const result of [...path].reverse()) {
    for (const { tensor, pullback } of result.operands) {
      if (!path.has(tensor)) continue;
      const gradient = pullback(gradientOf.get(result)!);
      const others = gradientOf.get(tensor);
      gradientOf.set(tensor, others ? ops.add(others, gradient) : gradient);
    }
  }
  return parameters.map((parameter) => {
    const gradient = gradientOf.get(parameter);
    if (!gradient) throw new RangeError(`the loss does not depend on ${parameter.name}`);
    return gradient;
  });
}

/** The tensors on a way from a parameter to the loss, operands before results. */
function between(loss: Tensor, parameters: readonly Tensor[]): Set<Tensor> {
  const path = new Set<Tensor>(parameters);
  const visited = new Set<Tensor>();
  const ordered = new Set<Tensor>();
  const visit = (tensor: Tensor): void => {
    if (visited.has(tensor)) return;
    visited.add(tensor);
    for (const operand of tensor.operands) visit(operand.tensor);
    if (tensor.operands.some((operand) => path.has(operand.tensor))) path.add(tensor);
    if (path.has(tensor)) ordered.add(tensor);
  };
  visit(loss);
  return ordered;
}
