import type { Graph } from '@scorer/core/onnx';
import type { Storage } from '@scorer/core/schema';
import type { DecoderSpec } from '../model/decoder-spec.js';
import type { ComputeType, GraphWeights } from './graph-weights.js';

export interface DecoderGraphOptions {
  /** Layers to output, ascending: 0 = embeddings, k = after layer k, the last = after the final norm. */
  layers: readonly number[];
  compute: ComputeType;
  storage: Storage;
  /** Takes the keys and values of the tokens before these, and gives them on with its own; false by default. */
  takesPast?: boolean;
}

/** What every part of the decoder is built with. */
export interface Builder {
  readonly graph: Graph;
  readonly spec: DecoderSpec;
  readonly weights: GraphWeights;
  readonly options: DecoderGraphOptions;
}
