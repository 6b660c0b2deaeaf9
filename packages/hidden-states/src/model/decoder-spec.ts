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
}
