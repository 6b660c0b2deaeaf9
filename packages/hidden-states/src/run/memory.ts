import { ScorerError } from '@scorer/core/errors';
import type { Device } from '@scorer/core/onnx';
import { COMPUTE_BYTES, type ComputeType } from '../graph/graph-weights.js';
import type { DecoderModel } from '../model/load-model.js';

export interface MemoryEstimate {
  /** Bytes of the loaded model and what is always around it. */
  readonly model: number;
  /** Bytes for each token of the trace being computed. */
  readonly perToken: number;
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

const NEEDS: Record<Device, DeviceNeeds> = {
  /**
   * Node, ONNX Runtime and the tokenizer; a layer's attention, since the MLP goes through the tokens in chunks. Measured
   * with models of different proportions at 2,048 to 32,768 tokens (bench/hidden-states-memory.mjs); the allocator's
   * slack is in them.
   */
  cpu: { base: 80 * 2 ** 20, rows: { hidden: 8, query: 6, keyValue: 4, intermediate: 0 } },
  /**
   * An upper bound of what ONNX Runtime allocated for four models of 4 to 15 B parameters at 2,048 to 27,000 tokens
   * (bench/gpu/rehearsal); it takes memory by the GiB, of which large tensors leave much unused.
   */
  cuda: { base: 2 ** 31, rows: { hidden: 2, query: 0, keyValue: 0, intermediate: 12 } },
};

/**
 * Memory of the device that a forward pass takes at most.
 * @param layers as in `DecoderOptions`: layers after the last one are not loaded
 */
export function estimateMemory(
  model: DecoderModel,
  { layers, compute, device }: { layers: readonly number[]; compute: ComputeType; device: Device },
): MemoryEstimate {
  const { spec, architecture, weights } = model;
  const { headCount: H, keyValueHeadCount: K, headSize: d, hiddenSize: D, intermediateSize: I } = spec;
  const { embeddings, layer } = architecture.tensors;
  const bytes = COMPUTE_BYTES[compute];

  const used = new Set<string>();
  for (let i = 0; i < layers.at(-1)!; i++) {
    for (const name of Object.values(layer(i))) for (const suffix of ['', '.weight', '.bias']) used.add(name + suffix);
  }
  let parameters = 0;
  for (const [name, { shape }] of weights.tensors) {
    if (used.has(name)) parameters += shape.reduce((product, length) => product * length, 1);
  }
  // The embeddings stay in the file's type: only the rows of a trace's tokens are converted.
  const table = weights.tensors.get(embeddings)?.length ?? 0;
  const { base, rows } = NEEDS[device];
  const values = rows.hidden * D + rows.query * H * d + rows.keyValue * K * d + rows.intermediate * I;
  return { model: base + table + parameters * bytes, perToken: values * bytes };
}

/**
 * The longest trace that fits.
 * @param available bytes that the process may use in all
 * @throws ScorerError `MODEL_TOO_LARGE`, with the numbers
 */
export function longestTrace({ model, perToken }: MemoryEstimate, available: number): number {
  const tokens = Math.floor((available - model) / perToken);
  if (tokens > 0) return tokens;
  throw new ScorerError({
    code: 'MODEL_TOO_LARGE',
    what: `the model needs about ${gibibytes(model)}, and there are ${gibibytes(available)}`,
    where: 'memory',
    hint: 'use a machine with more memory, a smaller model, or --layers with an earlier last layer',
  });
}

/** @throws ScorerError `TRACE_TOO_LONG`, with the numbers */
export function checkLength(tokens: number, longest: number, { model, perToken }: MemoryEstimate): void {
  if (tokens <= longest) return;
  throw new ScorerError({
    code: 'TRACE_TOO_LONG',
    what: `${tokens} tokens need about ${gibibytes(model + tokens * perToken)}, there is memory for ${longest} tokens`,
    hint: 'run it on a machine with more memory',
  });
}

/** One line for the log: what the run will take. */
export function describeMemory(estimate: MemoryEstimate, longest: number, available: number): string {
  const perThousand = gibibytes(estimate.perToken * 1000);
  return (
    `memory: about ${gibibytes(estimate.model)} for the model and ${perThousand} for 1,000 tokens; ` +
    `traces of up to ${longest} tokens fit in the ${gibibytes(available)} that there are`
  );
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
