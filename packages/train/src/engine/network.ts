import type { Tensor, TensorOps } from '@scorer/core/onnx';
import { randomStream } from '@scorer/core/random';

/**
 * The scorer's network: a Linear and a ReLU for each hidden layer, then a Linear to one logit. Without a hidden layer it
 * is logistic regression.
 */
export interface NetworkShape {
  readonly inputSize: number;
  readonly hiddenUnits: readonly number[];
}

/** A Linear of the network: x ↦ x·Wᵀ + b, with the names of W [outputs, inputs] and b [outputs]. */
export interface LinearLayer {
  readonly weight: string;
  readonly bias: string;
  readonly inputs: number;
  readonly outputs: number;
}

/** One value for each parameter, by name, in the order of the layers. Arrays are row-major, in PyTorch's shapes. */
export type Parameters<Value = Float32Array> = Readonly<Record<string, Value>>;

/** The Linears in order, named as in the original's `nn.Sequential(Linear, ReLU, Linear)`: ReLUs count, dropout does not. */
export function linearLayers({ inputSize, hiddenUnits }: NetworkShape): LinearLayer[] {
  const widths = [inputSize, ...hiddenUnits, 1];
  return widths.slice(1).map((outputs, i) => {
    const name = `net.${2 * i}`;
    return { weight: `${name}.weight`, bias: `${name}.bias`, inputs: widths[i]!, outputs };
  });
}

export function parameterShapes(network: NetworkShape): Parameters<readonly number[]> {
  const shapes = linearLayers(network).flatMap(({ weight, bias, inputs, outputs }): [string, number[]][] => [
    [weight, [outputs, inputs]],
    [bias, [outputs]],
  ]);
  return Object.fromEntries(shapes);
}

export function parameterNames(network: NetworkShape): string[] {
  return linearLayers(network).flatMap(({ weight, bias }) => [weight, bias]);
}

/** An object with one value for each parameter. */
export function forEachParameter<Value>(network: NetworkShape, make: (name: string) => Value): Parameters<Value> {
  return Object.fromEntries(parameterNames(network).map((name) => [name, make(name)]));
}

/** The start of training: as PyTorch's `nn.Linear`, all weights and biases uniform in ±1/√fan_in. */
export function initialParameters(network: NetworkShape, seed: number): Parameters {
  const parameters = linearLayers(network).flatMap(({ weight, bias, inputs, outputs }) => {
    const bound = 1 / Math.sqrt(inputs);
    const uniform = (name: string, size: number): [string, Float32Array] => {
      const random = randomStream(seed, `initial ${name}`);
      return [name, Float32Array.from({ length: size }, () => (2 * random.uniform() - 1) * bound)];
    };
    return [uniform(weight, outputs * inputs), uniform(bias, outputs)];
  });
  return Object.fromEntries(parameters);
}

/**
 * Logits of rows, [B, D] → [B]. Hidden layers are computed as [units, B]: so the gradient of the large first weight is a
 * product of two matrices as they stand, where PyTorch's [B, units] needs one of them transposed, a fifth slower.
 * @param masks of dropout: what each hidden layer is multiplied by, [units, B]
 */
export function logitsOf(
  ops: TensorOps,
  network: NetworkShape,
  rows: Tensor,
  parameters: Parameters<Tensor>,
  masks: readonly Tensor[] = [],
): Tensor {
  const layers = linearLayers(network);
  const logits = layers.reduce((x, { weight, bias, outputs }, i) => {
    const product = ops.matMul(parameters[weight]!, x, { transposeB: i === 0 }); // [outputs, B]
    const sums = ops.add(product, ops.reshape(parameters[bias]!, [outputs, 1]));
    if (i === layers.length - 1) return sums;
    const hidden = ops.relu(sums);
    return masks[i] ? ops.mul(hidden, masks[i]) : hidden;
  }, rows);
  return ops.reshape(logits, [rows.shape[0]!]);
}
