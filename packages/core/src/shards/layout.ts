import type { Dtype, TensorSpec } from '../safetensors/index.js';
import { SHARD_FORMAT, SHARD_VERSION, type ShardOrigin, type Storage } from '../schema/index.js';
import { CONFIDENCE_TENSORS } from './confidence.js';

/** The texts of a trace, in the order of their tensors; each has `<name>_offsets` beside it. */
export const TEXT_NAMES = [
  'question',
  'original_response',
  'full_forward_text',
  'ground_truth',
  'extracted_answer',
] as const;
export type TextName = (typeof TEXT_NAMES)[number];

/** A value for each text. */
export function byTextName<Value>(valueFor: (name: TextName) => Value): Record<TextName, Value> {
  return Object.fromEntries(TEXT_NAMES.map((name) => [name, valueFor(name)])) as Record<TextName, Value>;
}

/** What is the same for every trace of a shard. */
export interface ShardShape {
  /** Layers kept, ascending; numbered as in transformers: 0 = embeddings, the last = after the final norm. */
  layers: readonly number[];
  hiddenSize: number;
  storage: Storage;
  /**
   * Every trace has the confidence of its tokens (`TokenConfidence`), over the k most probable ones; undefined where
   * none has.
   */
  confidenceTopK?: number | undefined;
}

export interface ShardCounts {
  traces: number;
  steps: number;
  tokens: number;
  /** UTF-8 bytes of all traces. */
  textBytes: Readonly<Record<TextName, number>>;
  /** Whether there is a step with a label of its own. */
  hasStepLabels: boolean;
  /** Tokens of all traces that have a confidence; 0 in a shard without. */
  confidenceTokens: number;
}

export const STORAGE_BYTES: Record<Storage, number> = { F16: 2, BF16: 2, F32: 4 };

export function layerTensor(layer: number): string {
  return `hidden_states.${layer}`;
}

/** Every tensor of a shard: the one place that says how a shard looks, for the writer and the reader. */
export function shardTensors(
  { layers, hiddenSize, storage, confidenceTopK }: ShardShape,
  { traces, steps, tokens, textBytes, hasStepLabels, confidenceTokens }: ShardCounts,
): TensorSpec[] {
  return [
    ...layers.map((layer) => tensor(layerTensor(layer), storage, steps, hiddenSize)),
    tensor('step_offsets', 'I64', traces + 1),
    tensor('step_positions', 'I32', steps),
    tensor('step_regions', 'U8', steps),
    tensor('input_ids', 'I32', tokens),
    tensor('input_offsets', 'I64', traces + 1),
    tensor('is_correct', 'U8', traces),
    tensor('trace_index', 'I64', traces),
    ...TEXT_NAMES.flatMap((name) => [
      tensor(name, 'U8', textBytes[name]),
      tensor(`${name}_offsets`, 'I64', traces + 1),
    ]),
    ...(hasStepLabels ? [tensor('step_labels', 'F32', steps)] : []),
    ...(confidenceTopK === undefined
      ? []
      : [
          tensor('confidence_offsets', 'I64', traces + 1),
          ...CONFIDENCE_TENSORS.map((name) => tensor(name, 'F32', confidenceTokens)),
        ]),
  ];
}

function tensor(name: string, dtype: Dtype, ...shape: number[]): TensorSpec {
  return { name, dtype, shape };
}

/** `__metadata__` of a shard, as `shardMetadataSchema` reads it. */
export function shardMetadata(
  { layers, hiddenSize, confidenceTopK }: ShardShape,
  origin: ShardOrigin,
  dataSha256: string,
): Record<string, string> {
  const { model, model_fingerprint, input_fingerprint, dtype, device, runtime, confidence_from } = origin;
  return {
    format: SHARD_FORMAT,
    version: SHARD_VERSION,
    layers: JSON.stringify(layers),
    hidden_size: String(hiddenSize),
    model,
    model_fingerprint,
    input_fingerprint,
    dtype,
    device,
    runtime,
    data_sha256: dataSha256,
    ...(confidenceTopK !== undefined && {
      confidence_top_k: String(confidenceTopK),
      ...(confidence_from && { confidence_from }),
    }),
  };
}
