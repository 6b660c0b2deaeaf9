/**
 * One plain description of a decoder-only transformer: all that changes its forward pass, and nothing of how the
 * graph is written. Symbols as in transformers: D hidden size, H query heads, K key/value heads, d head size.
 */
export interface DecoderSpec {
  /** Class name in config.json: `Qwen3ForCausalLM`. */
  readonly architecture: string;
  readonly hiddenSize: number;
  readonly layerCount: number;
  readonly headCount: number;
  readonly keyValueHeadCount: number;
  readonly headSize: number;
  /** Of the dense MLPs. */
  readonly intermediateSize: number;
  readonly vocabularySize: number;
  /** Longest sequence that the model was made for, in tokens. */
  readonly contextLength: number;
  /** ε of every RMS norm. */
  readonly normEpsilon: number;
  /** RMS norm of each query and key head before the rotation (Qwen3). */
  readonly queryKeyNorm: boolean;
  readonly bias: { readonly queryKeyValue: boolean; readonly attentionOutput: boolean; readonly mlp: boolean };
  /** For each layer the number of tokens that a token attends to, itself included; null where it attends to all. */
  readonly attentionWindows: readonly (number | null)[];
  readonly rotary: Rotary;
  /** Of the layers that have several MLPs, of which each token takes some; absent where none has. */
  readonly experts?: Experts;
  readonly head: Head;
}

/** From the final norm to logits. */
export interface Head {
  /** Its weights are the embeddings', where the files hold no others. */
  readonly tied: boolean;
  /** Settings of config.json, by name, that make other logits than the product with the weights. */
  readonly changedBy: readonly string[];
}

/** Sparse mixture of experts (arXiv 1701.06538) as routed in Qwen3-MoE: softmax over all experts, then the best of them. */
export interface Experts {
  /** For each layer whether it has experts; the others have one dense MLP. */
  readonly inLayer: readonly boolean[];
  /** E */
  readonly count: number;
  /** k */
  readonly perToken: number;
  readonly intermediateSize: number;
  /** Whether the probabilities of a token's k experts are divided by their sum before they weight the outputs. */
  readonly normalizedWeights: boolean;
}

/** Rotary position embedding (RoFormer, arXiv 2104.09864), halves rotated against each other as in transformers. */
export interface Rotary {
  /** Radians a position for each pair of dimensions; the pairs fill the head's first dimensions, the rest is left. */
  readonly inverseFrequencies: Float32Array;
  /** Used instead, for the whole sequence, where it has more than `above` tokens (LongRoPE). */
  readonly long?: { readonly above: number; readonly inverseFrequencies: Float32Array };
  /** Factor on cosines and sines: the attention temperature of YaRN and LongRoPE; 1 elsewhere. */
  readonly scaling: number;
}

/** Names of a decoder's tensors in its safetensors files. */
export interface TensorNames {
  readonly embeddings: string;
  readonly finalNorm: string;
  /** Of a head that is not tied to the embeddings. */
  readonly head: string;
  layer(index: number): LayerTensorNames;
}

/**
 * Norms are whole names; the projections are prefixes, to be followed by `.weight` or `.bias`. Where query, key and
 * value, or gate and up, have the same name, that tensor holds them stacked by rows in this order (Phi-3).
 */
export interface LayerTensorNames {
  readonly attentionNorm: string;
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly queryNorm?: string;
  readonly keyNorm?: string;
  readonly attentionOutput: string;
  readonly mlpNorm: string;
  readonly gate: string;
  readonly up: string;
  readonly down: string;
  /** Of layers with experts: the projection to a logit for each, and what the experts' own names begin with. */
  readonly router?: string;
  readonly experts?: string;
}

/** Prefixes of the projections of expert `e`, under `LayerTensorNames.experts`. */
export function expertTensors(experts: string, e: number): Pick<LayerTensorNames, 'gate' | 'up' | 'down'> {
  return { gate: `${experts}.${e}.gate_proj`, up: `${experts}.${e}.up_proj`, down: `${experts}.${e}.down_proj` };
}
