import { ScorerError } from '@scorer/core/errors';
import { COMPUTE_BYTES, type ComputeType } from '../graph/graph-weights.js';
import type { DecoderModel } from '../model/load-model.js';

export interface MemoryEstimate {
  /** Bytes of the loaded model and the process around it. */
  readonly model: number;
  /** Bytes for each token of the trace being computed. */
  readonly perToken: number;
}

/** Node, ONNX Runtime and the tokenizer; measured. */
const PROCESS_BYTES = 80 * 2 ** 20;

/**
 * Rows of hidden size, of all query heads, and of all key or value heads that live at the same time in a layer's
 * attention, where a pass is widest; the MLP goes through the tokens in chunks. Measured with models of different
 * proportions at 2,048 to 32,768 tokens (bench/hidden-states-memory.mjs); the allocator's slack is in them.
 */
const LIVE_ROWS = { hidden: 8, query: 6, keyValue: 4 };

/**
 * Memory that a forward pass on the CPU takes at most.
 * @param layers as in `DecoderOptions`: layers after the last one are not loaded
 */
export function estimateMemory(model: DecoderModel, layers: readonly number[], compute: ComputeType): MemoryEstimate {
  const { spec, architecture, weights } = model;
  const { headCount: H, keyValueHeadCount: K, headSize: d, hiddenSize: D } = spec;
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
  const rows = LIVE_ROWS.hidden * D + LIVE_ROWS.query * H * d + LIVE_ROWS.keyValue * K * d;
  return { model: PROCESS_BYTES + table + parameters * bytes, perToken: rows * bytes };
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
    what: `the model needs about ${gibibytes(model)}, and ${gibibytes(available)} are free`,
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
    `traces of up to ${longest} tokens fit in the ${gibibytes(available)} that are free`
  );
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
