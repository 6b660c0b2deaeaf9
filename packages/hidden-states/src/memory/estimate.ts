import { ScorerError } from '@scorer/core/errors';
import { type Device, type DeviceKind, deviceKind } from '@scorer/core/onnx';
import type { LayerGroup } from '../graph/builder.js';
import { type ConfidenceOptions, confidenceChunkTokens } from '../graph/confidence.js';
import { computedLayers } from '../graph/decoder-graph.js';
import { COMPUTE_BYTES, type ComputeType } from '../graph/graph-weights.js';
import { EXPERTS_CHUNK_TOKENS } from '../graph/mlp.js';
import { type DecoderSpec, expertTensors, type LayerTensorNames } from '../model/decoder-spec.js';
import type { DecoderModel } from '../model/load-model.js';

export interface MemoryEstimate {
  /** Bytes of the loaded model and what is always around it. */
  readonly model: number;
  /** Bytes for each token of the trace being computed. */
  readonly perToken: number;
  /** Bytes for each pair of its tokens, where attention builds T×T matrices. */
  readonly perTokenPair?: number;
}

/**
 * What a device needs at most: bytes beside the weights, and rows of each width that live at the same time where a pass
 * is widest.
 */
interface DeviceNeeds {
  readonly base: number;
  readonly rows: {
    /** D */
    readonly hidden: number;
    /** H·d */
    readonly query: number;
    /** K·d */
    readonly keyValue: number;
    /** I */
    readonly intermediate: number;
  };
}

const NEEDS: Record<DeviceKind, DeviceNeeds> = {
  /**
   * Node, ONNX Runtime and the tokenizer; a layer's attention, since the MLP goes through the tokens in chunks. Measured
   * with models of different proportions at 2,048 to 32,768 tokens (bench/hidden-states-memory.mjs); the allocator's
   * slack is in them.
   */
  cpu: { base: 80 * 2 ** 20, rows: { hidden: 5, query: 2, keyValue: 5, intermediate: 0 } },
  /**
   * An upper bound of what ONNX Runtime allocated for four models of 4 to 15 B parameters at 2,048 to 27,000 tokens
   * (bench/gpu/rehearsal); it takes memory by the GiB, of which large tensors leave much unused.
   */
  cuda: { base: 2 ** 31, rows: { hidden: 2, query: 0, keyValue: 0, intermediate: 12 } },
};

/**
 * Of a group of layers: rows of the residual stream at its borders, as the session and this thread hold them, and what
 * the allocator keeps of the group before (bench/layer-groups.mjs).
 */
const GROUP_NEEDS = { rows: 3, base: 128 * 2 ** 20 };

export interface MemorySettings {
  /** As in `DecoderOptions`: layers after the last one are not loaded. */
  layers: readonly number[];
  confidence?: ConfidenceOptions | undefined;
  compute: ComputeType;
  device: Device;
}

/**
 * Memory of the device that a forward pass takes at most.
 * @param group with only these layers in memory; all that are wanted where left out
 */
export function estimateMemory(
  model: DecoderModel,
  { layers, confidence, compute, device }: MemorySettings,
  group?: LayerGroup,
): MemoryEstimate {
  const { spec, architecture, weights } = model;
  const { headCount: H, keyValueHeadCount: K, headSize: d, hiddenSize: D, intermediateSize: I } = spec;
  const bytes = COMPUTE_BYTES[compute];
  const layerCount = computedLayers({ layers, confidence }, spec);
  const { first, last } = group ?? { first: 1, last: layerCount };

  let parameters = 0;
  for (let layer = first; layer <= last; layer++) {
    // Where wanted rows are computed on their own beside those of all tokens, the kernels of both pack the weights.
    const rowsAlone = layer === layers.at(-1) || compute === 'float32';
    const isTwice = layers.includes(layer) && rowsAlone && (layer < layerCount || confidence);
    parameters += (isTwice ? 2 : 1) * parametersOf(model, layer - 1);
  }
  // The embeddings stay in the file's type: only the rows of a trace's tokens are converted.
  const table = first === 1 ? (weights.tensors.get(architecture.tensors.embeddings)?.length ?? 0) : 0;
  const head = confidence && last === layerCount ? headMemory(model, compute) : 0;
  const routed = routedMemory(model, { first, last }, compute);
  const { base, rows } = NEEDS[deviceKind(device)];
  const values = rows.hidden * D + rows.query * H * d + rows.keyValue * K * d + rows.intermediate * I;
  const own = group ? GROUP_NEEDS : { rows: 0, base: 0 };
  return {
    model: base + own.base + table + parameters * bytes + head + routed.model,
    perToken: (values + own.rows * D) * bytes + routed.perToken,
  };
}

/**
 * What routing to experts takes beyond the weights: rows of hidden states that are there once for each of a token's k
 * experts, of a chunk on the CPU and of the whole trace on CUDA; and on the CPU the experts' weights as they are in the
 * file, which ONNX Runtime gives back only to later allocations where it has converted so many (measured with
 * bench/hidden-states-memory.mjs).
 */
function routedMemory(
  { spec, architecture, weights }: DecoderModel,
  { first, last }: LayerGroup,
  compute: ComputeType,
): MemoryEstimate {
  if (!spec.experts) return { model: 0, perToken: 0 };
  const rows = ROUTED_ROWS * spec.experts.perToken * spec.hiddenSize * COMPUTE_BYTES[compute];
  if (compute !== 'float32') return { model: 0, perToken: rows };
  let converted = 0;
  for (let layer = first - 1; layer < last; layer++) {
    for (const name of expertWeights(spec, architecture.tensors.layer(layer), layer)) {
      const { dtype, length } = weights.tensors.get(name) ?? { dtype: 'F32', length: 0 };
      if (dtype !== 'F32') converted += length;
    }
  }
  return { model: converted + EXPERTS_CHUNK_TOKENS * rows, perToken: 0 };
}

const ROUTED_ROWS = 2;

/** Names of the weights of a decoder layer's experts (layers from 0). */
function expertWeights({ experts }: DecoderSpec, tensors: LayerTensorNames, layer: number): string[] {
  if (!experts?.inLayer[layer]) return [];
  const prefixes = Array.from({ length: experts.count }, (_, e) => Object.values(expertTensors(tensors.experts!, e)));
  return prefixes.flat().map((prefix) => `${prefix}.weight`);
}

/** Numbers in the weights of a decoder layer (from 0). */
function parametersOf({ spec, architecture, weights }: DecoderModel, layer: number): number {
  const tensors = architecture.tensors.layer(layer);
  const stems = Object.values<string>({ ...tensors });
  const names = new Set(stems.flatMap((stem) => ['', '.weight', '.bias'].map((suffix) => stem + suffix)));
  for (const name of expertWeights(spec, tensors, layer)) names.add(name);
  let parameters = 0;
  for (const name of names) {
    const { shape } = weights.tensors.get(name) ?? {};
    if (shape) parameters += shape.reduce((product, length) => product * length, 1);
  }
  return parameters;
}

/** The weights, and beside them their copy while they are packed, or later the logits and log-probabilities of a chunk. */
function headMemory({ spec }: DecoderModel, compute: ComputeType): number {
  const { vocabularySize: V, hiddenSize: D } = spec;
  const weights = V * D * COMPUTE_BYTES[compute];
  const chunk = 2 * confidenceChunkTokens(spec, compute) * V * Float32Array.BYTES_PER_ELEMENT;
  return weights + Math.max(weights, chunk);
}

/**
 * The longest trace that fits.
 * @param available bytes that the process may use in all
 * @param layersAtATime of the model, where not all are in memory
 * @throws ScorerError `MODEL_TOO_LARGE`, with the numbers
 */
export function longestTrace(
  { model, perToken, perTokenPair = 0 }: MemoryEstimate,
  available: number,
  layersAtATime?: number,
): number {
  const room = Math.max(0, available - model);
  // The positive root of perTokenPair·T² + perToken·T = room.
  const root = (): number => (Math.sqrt(perToken ** 2 + 4 * perTokenPair * room) - perToken) / (2 * perTokenPair);
  const tokens = Math.floor(perTokenPair === 0 ? room / perToken : root());
  if (tokens > 0) return tokens;
  const what = layersAtATime === undefined ? 'the model' : `the model, ${layersAtATime} of its layers at a time,`;
  throw new ScorerError({
    code: 'MODEL_TOO_LARGE',
    what: `${what} needs about ${gibibytes(model)}, and there are ${gibibytes(available)}`,
    where: 'memory',
    hint: 'use a machine with more memory, a smaller model, or --layers with an earlier last layer',
  });
}

/** @throws ScorerError `TRACE_TOO_LONG`, with the numbers */
export function checkLength(tokens: number, longest: number, estimate: MemoryEstimate): void {
  if (tokens <= longest) return;
  const { model, perToken, perTokenPair = 0 } = estimate;
  const needed = model + tokens * perToken + tokens ** 2 * perTokenPair;
  throw new ScorerError({
    code: 'TRACE_TOO_LONG',
    what: `${tokens} tokens need about ${gibibytes(needed)}, there is memory for ${longest} tokens`,
    hint: 'run it on a machine with more memory',
  });
}

/** One line for the log: what the run will take. */
export function describeMemory(estimate: MemoryEstimate, longest: number, available: number): string {
  const perThousand = gibibytes(estimate.perToken * 1000 + (estimate.perTokenPair ?? 0) * 1000 ** 2);
  return (
    `memory: about ${gibibytes(estimate.model)} for the model and ${perThousand} for 1,000 tokens; ` +
    `traces of up to ${longest} tokens fit in the ${gibibytes(available)} that there are`
  );
}

export function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
