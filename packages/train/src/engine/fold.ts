import type { InputTransform } from './engine.js';
import { linearLayers, type NetworkShape, type Parameters } from './network.js';

/** The network that is trained behind a transform: its first Linear reads what the transform gives. */
export function trainedNetwork(network: NetworkShape, transform: InputTransform | undefined): NetworkShape {
  if (!transform?.components) return network;
  return { ...network, inputSize: transform.components.length / network.inputSize };
}

/**
 * The weights with which the network gives for raw rows what `weights` give for transformed ones, since a linear map
 * before a Linear is a Linear:
 *
 *     W·C·diag(1/s)·(x − μ) + b  =  W′·x + (b − W′·μ)
 *
 * @param network for raw rows: the result has its shapes
 * @param weights of `trainedNetwork(network, transform)`
 */
export function foldedParameters(
  network: NetworkShape,
  weights: Parameters,
  transform: InputTransform | undefined,
): Parameters {
  if (!transform) return weights;
  const { mean, scale, components } = transform;
  const { weight, bias, inputs: D, outputs: H } = linearLayers(network)[0]!;
  const k = components ? components.length / D : D;
  const foldedWeight = new Float32Array(H * D);
  const foldedBias = new Float32Array(H);
  // Summed in double precision: the mean of a hidden state can be large against its spread.
  const row = new Float64Array(D);
  for (let h = 0; h < H; h++) {
    const trained = weights[weight]!.subarray(h * k, (h + 1) * k);
    if (components) multiplyRow(trained, components, row);
    else row.set(trained);
    let shift = 0;
    for (let d = 0; d < D; d++) {
      const folded = row[d]! / scale[d]!;
      foldedWeight[h * D + d] = folded;
      shift += folded * mean[d]!;
    }
    foldedBias[h] = weights[bias]![h]! - shift;
  }
  return { ...weights, [weight]: foldedWeight, [bias]: foldedBias };
}

/** product [D] = row [k] · matrix [k, D] */
function multiplyRow(row: Float32Array, matrix: Float32Array, product: Float64Array): void {
  const D = product.length;
  product.fill(0);
  for (let c = 0; c < row.length; c++) {
    const factor = row[c]!;
    for (let d = 0; d < D; d++) product[d]! += factor * matrix[c * D + d]!;
  }
}
