import { type DecoderSpec, expertTensors, type TensorNames } from './decoder-spec.js';
import { requireTensor, type WeightLocation, type Weights } from './weights.js';

/**
 * The weights with a name for each projection of each expert, where the file has all experts of a layer in two tensors
 * (transformers 5 with `save_original_format=False`): `gate_up_proj` [E, 2I, D], gate's rows first, and `down_proj` [E, D, I].
 * @throws ScorerError `TENSOR_SHAPE` where such a tensor does not fit config.json
 */
export function unstackExperts(
  weights: Weights,
  { layerCount, hiddenSize: D, experts }: DecoderSpec,
  names: TensorNames,
): Weights {
  if (!experts) return weights;
  const { count: E, intermediateSize: I } = experts;
  const tensors = new Map(weights.tensors);
  const take = (name: string, shape: readonly number[]): WeightLocation | undefined => {
    if (!tensors.has(name)) return undefined;
    const stacked = requireTensor(weights, name, shape);
    tensors.delete(name);
    return stacked;
  };
  for (let layer = 0; layer < layerCount; layer++) {
    const prefix = names.layer(layer).experts;
    if (!experts.inLayer[layer] || prefix === undefined) continue;
    const gateUp = take(`${prefix}.gate_up_proj`, [E, 2 * I, D]);
    const down = take(`${prefix}.down_proj`, [E, D, I]);
    if (!gateUp && !down) continue;
    for (let e = 0; e < E; e++) {
      const expert = expertTensors(prefix, e);
      if (gateUp) {
        tensors.set(`${expert.gate}.weight`, part(gateUp, [I, D], 2 * e, 2 * E));
        tensors.set(`${expert.up}.weight`, part(gateUp, [I, D], 2 * e + 1, 2 * E));
      }
      if (down) tensors.set(`${expert.down}.weight`, part(down, [D, I], e, E));
    }
  }
  return { ...weights, tensors };
}

/** One of `of` parts of the same shape that lie one after another. */
function part(stacked: WeightLocation, shape: readonly number[], index: number, of: number): WeightLocation {
  const length = stacked.length / of;
  return { ...stacked, shape, offset: stacked.offset + index * length, length };
}
