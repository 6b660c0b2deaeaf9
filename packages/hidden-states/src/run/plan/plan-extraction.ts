import { type Device, type DeviceWish, resolveDevice } from '@scorer/core/onnx';
import type { Storage } from '@scorer/core/schema';
import { type ConfidenceOptions, DEFAULT_TOP_K } from '../../graph/confidence.js';
import type { ComputeType } from '../../graph/graph-weights.js';
import { type AnyModel, requireHead } from '../../model/any-model.js';
import { computeTypeFor } from '../../model/compute-type.js';
import { modelFingerprint } from '../../model/fingerprint.js';
import type { ExtractedShard } from '../summary.js';
import { finishedShards, type ShardContents } from './finished-shards.js';
import { parseLayers } from './layers.js';
import { DEFAULT_SHARD_SIZE, type PlannedShard, planShards } from './plan-shards.js';

export interface PlanOptions {
  /** Step records, JSONL. */
  inputPath: string;
  /** Shards are named `<outputPath>_hiddenstates_<start>_<end>.safetensors`. */
  outputPath: string;
  /** First line, 0-based; 0 by default. */
  start?: number;
  /** Line after the last one; the end of the file by default. */
  end?: number | undefined;
  /** What the file's first line counts as, where the file is a piece of a larger one; 0 by default. */
  firstLine?: number | undefined;
  /** Most lines in one shard; 1000 by default. */
  shardSize?: number;
  /** This process makes shards index, index + count, … */
  part?: { index: number; count: number };
  /** `last` (default), `all`, or numbers with commas, as `parseLayers` reads them. */
  layers?: string;
  /** How states are stored; F16 by default. */
  storage?: Storage;
  /**
   * Stores how sure the model was of every token after the prompt, computed (`model`, the default) or as the engine that
   * generated them says in the records' field `logprobs`. Without it by default.
   */
  confidence?: { from?: 'model' | 'field'; topK?: number } | undefined;
  /** `auto` by default; `cuda:1` is the second card. */
  device?: DeviceWish;
  /** Arithmetic; by default float32 on the CPU and bfloat16 on CUDA. */
  compute?: ComputeType | undefined;
  /** Replace shards that were made from other input or settings instead of refusing. */
  overwrite?: 'refuse' | 'replace';
  signal?: AbortSignal | undefined;
  onWarning?: ((message: string) => void) | undefined;
}

/** What an extraction is to make, where and in which arithmetic. */
export interface ExtractionPlan {
  /** All shards of the range, in its order. */
  readonly shards: readonly PlannedShard[];
  /** Those of them that an earlier run has finished, and those that are to be made. */
  readonly finished: ReadonlyMap<PlannedShard, ExtractedShard>;
  readonly missing: readonly PlannedShard[];
  /** Of the missing shards: lines with something on them, tokens that are computed, and tokens of the longest trace. */
  readonly traces: number;
  readonly tokens: number;
  readonly longest: number;
  /** How many tokens of a line are computed, by the number of the line. */
  readonly tokensOf: (line: number) => number;
  /** What is in every shard. */
  readonly contents: ShardContents;
  /** What the decoder is asked for beside hidden states. */
  readonly confidence: ConfidenceOptions | undefined;
  /** Reads the records' field `logprobs`, for means over so many tokens. */
  readonly logprobsTopK: number | undefined;
  readonly device: Device;
}

/**
 * Settles every wish of the caller and looks which shards are there already. Nothing is loaded or written.
 * @throws ScorerError `BAD_LAYERS`, `BAD_DTYPE`, `CONFIDENCE_UNAVAILABLE`, `OUTPUT_DIFFERS` (usage), `HEAD_MISSING`,
 * `CUDA_UNAVAILABLE`, and the codes of `planShards`
 */
export async function planExtraction(model: AnyModel, options: PlanOptions): Promise<ExtractionPlan> {
  const { storage = 'F16', overwrite = 'refuse', signal } = options;
  const layers = parseLayers(options.layers ?? 'last', model.spec.layerCount);
  const { shards, tokensOf, warnings } = await planShards({
    inputPath: options.inputPath,
    outputPath: options.outputPath,
    start: options.start ?? 0,
    end: options.end,
    firstLine: options.firstLine,
    shardSize: options.shardSize ?? DEFAULT_SHARD_SIZE,
    part: options.part ?? { index: 0, count: 1 },
    signal,
  });
  for (const warning of warnings) options.onWarning?.(warning);

  const device = await resolveDevice(options.device ?? 'auto');
  const compute = computeTypeFor(model, device, options.compute);
  const fingerprint = await modelFingerprint(model, { signal });
  const confidenceTopK = options.confidence && (options.confidence.topK ?? DEFAULT_TOP_K);
  const confidenceFrom = options.confidence && (options.confidence.from ?? 'model');
  if (confidenceFrom === 'model') requireHead(model);

  const { hiddenSize } = model.spec;
  const contents: ShardContents = {
    layers,
    hiddenSize,
    storage,
    confidenceTopK,
    confidenceFrom,
    fingerprint,
    compute,
  };
  const finished = await finishedShards(shards, contents, overwrite);
  const missing = shards.filter((shard) => !finished.has(shard));
  return {
    shards,
    finished,
    missing,
    traces: missing.reduce((total, shard) => total + shard.records, 0),
    ...tokensIn(missing, tokensOf),
    tokensOf,
    contents,
    confidence: confidenceTopK && confidenceFrom === 'model' ? { topK: confidenceTopK } : undefined,
    logprobsTopK: confidenceFrom === 'field' ? confidenceTopK : undefined,
    device,
  };
}

/** Tokens that are computed for all lines of some shards, and those of the longest. */
function tokensIn(
  shards: readonly PlannedShard[],
  tokensOf: (line: number) => number,
): Pick<ExtractionPlan, 'tokens' | 'longest'> {
  let [tokens, longest] = [0, 0];
  for (const { start, end } of shards) {
    for (let line = start; line < end; line++) {
      tokens += tokensOf(line);
      longest = Math.max(longest, tokensOf(line));
    }
  }
  return { tokens, longest };
}
