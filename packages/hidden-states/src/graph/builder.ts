import type { Graph } from '@scorer/core/onnx';
import type { Storage } from '@scorer/core/schema';
import type { DecoderSpec } from '../model/decoder-spec.js';
import type { ConfidenceOptions } from './confidence.js';
import type { ComputeType, GraphWeights } from './graph-weights.js';

export interface DecoderGraphOptions {
  /** Layers to output, ascending: 0 = embeddings, k = after layer k, the last = after the final norm. */
  layers: readonly number[];
  /** Builds these of the decoder layers that `layers` needs; all of them where left out. */
  group?: LayerGroup | undefined;
  compute: ComputeType;
  storage: Storage;
  /** Outputs how sure the model was of tokens too, for which all layers run and the head; without it by default. */
  confidence?: ConfidenceOptions | undefined;
  /** Takes the keys and values of the tokens before these, and gives them on with its own; false by default. */
  takesPast?: boolean;
}

/** Consecutive decoder layers, counted from 1, `last` included. */
export interface LayerGroup {
  readonly first: number;
  readonly last: number;
}

/** What every part of the decoder is built with. */
export interface Builder {
  readonly graph: Graph;
  readonly spec: DecoderSpec;
  readonly weights: GraphWeights;
  readonly options: DecoderGraphOptions;
}
