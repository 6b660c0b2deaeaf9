import type { DecoderSpec } from '../model/decoder-spec.js';

/** How much of a sequence is computed. */
export interface PassTokens {
  /** T: tokens that go through the layers */
  readonly tokens: number;
  /** Tokens whose probability is computed, each a product with the head */
  readonly predictions: number;
}

/**
 * Which share of a pass lies in the decoder layers 1 to `done` of the `last` that are computed, by the multiplications
 * of its matrix products. What is not in the layers is in the head.
 */
export function shareOfWork(
  spec: DecoderSpec,
  { tokens, predictions }: PassTokens,
  { done, last }: { done: number; last: number },
): number {
  const workOf = (layerCount: number): number => {
    let work = 0;
    for (let layer = 0; layer < layerCount; layer++) work += layerWork(spec, layer, tokens);
    return work;
  };
  return workOf(done) / (workOf(last) + predictions * spec.vocabularySize * spec.hiddenSize);
}

/** @param layer from 0 */
function layerWork(spec: DecoderSpec, layer: number, T: number): number {
  const { hiddenSize: D, headCount: H, keyValueHeadCount: K, headSize: d, intermediateSize: I, experts } = spec;
  const projections = 2 * D * H * d + 2 * D * K * d;
  const mlp = experts?.inLayer[layer]
    ? experts.count * D + experts.perToken * 3 * D * experts.intermediateSize
    : 3 * D * I;
  // Pairs of a token and one that it attends to, itself included.
  const window = Math.min(spec.attentionWindows[layer] ?? T, T);
  const pairs = (window * (window + 1)) / 2 + (T - window) * window;
  return T * (projections + mlp) + 2 * pairs * H * d;
}
