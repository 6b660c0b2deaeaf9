import type { Tensor, TensorOps } from '@scorer/core/onnx';
import { randomStream } from '@scorer/core/random';

/** The scorer's network: Linear(input, hidden) – ReLU – Linear(hidden, 1). */
export interface NetworkShape {
  readonly inputSize: number;
  readonly hiddenUnits: number;
}

/** Names as in the original's PyTorch module; each parameter has the shape that PyTorch gives it. */
export const PARAMETERS = ['net.0.weight', 'net.0.bias', 'net.2.weight', 'net.2.bias'] as const;
export type ParameterName = (typeof PARAMETERS)[number];

/** One array for each parameter, row-major. */
export type Parameters<Value = Float32Array> = Readonly<Record<ParameterName, Value>>;

export function parameterShapes({ inputSize: D, hiddenUnits: H }: NetworkShape): Parameters<readonly number[]> {
  return { 'net.0.weight': [H, D], 'net.0.bias': [H], 'net.2.weight': [1, H], 'net.2.bias': [1] };
}

/** An object with one value for each parameter. */
export function forEachParameter<Value>(make: (name: ParameterName) => Value): Parameters<Value> {
  return Object.fromEntries(PARAMETERS.map((name) => [name, make(name)])) as Record<ParameterName, Value>;
}

/** The start of training: as PyTorch's `nn.Linear`, all weights and biases uniform in ±1/√fan_in. */
export function initialParameters(shape: NetworkShape, seed: number): Parameters {
  const fanIn = { 0: shape.inputSize, 2: shape.hiddenUnits };
  const shapes = parameterShapes(shape);
  return forEachParameter((name) => {
    const bound = 1 / Math.sqrt(name.startsWith('net.0') ? fanIn[0] : fanIn[2]);
    const random = randomStream(seed, `initial ${name}`);
    const size = shapes[name].reduce((product, length) => product * length, 1);
    return Float32Array.from({ length: size }, () => (2 * random.uniform() - 1) * bound);
  });
}

/** Logits of rows: [B, D] → [B, 1]. */
export function logitsOf(ops: TensorOps, rows: Tensor, parameters: Parameters<Tensor>): Tensor {
  const hidden = ops.add(ops.matMul(rows, parameters['net.0.weight'], { transposeB: true }), parameters['net.0.bias']); // [B, H]
  return ops.add(
    ops.matMul(ops.relu(hidden), parameters['net.2.weight'], { transposeB: true }),
    parameters['net.2.bias'],
  );
}
