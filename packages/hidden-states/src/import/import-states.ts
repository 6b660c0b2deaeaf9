import { dirname } from 'node:path';
import type { OnProgress } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { makeFolder } from '@scorer/core/files';
import { toFloat32 } from '@scorer/core/safetensors';
import type { ShardOrigin, Storage } from '@scorer/core/schema';
import { openShard, openShardWriter, removePartial, type ShardWriter } from '@scorer/core/shards';
import { loadTokenizer, type ScorerTokenizer } from '@scorer/core/tokenizer';
import { DEFAULT_TOP_K } from '../graph/confidence.js';
import type { ComputeType } from '../graph/graph-weights.js';
import { fieldConfidence } from '../logprobs/field-confidence.js';
import { modelFingerprint } from '../model/fingerprint.js';
import { loadModel } from '../model/load-model.js';
import { finishedShards, type ShardContents } from '../run/plan/finished-shards.js';
import { parseLayers } from '../run/plan/layers.js';
import { DEFAULT_SHARD_SIZE, type PlannedShard, planShards } from '../run/plan/plan-shards.js';
import {
  createFailureBudget,
  DEFAULT_MAX_FAILURES,
  type FailureBudget,
  type FailureLimit,
  type TraceFailure,
  writeFailures,
} from '../run/shard/failures.js';
import { checkFinite, checkFiniteConfidence } from '../run/shard/finite.js';
import { labelsOf } from '../run/shard/labels.js';
import { openRecords, type RecordLine } from '../run/shard/records.js';
import { tokenizeRecord } from '../run/shard/trace-tokens.js';
import type { ExtractedShard } from '../run/summary.js';
import { type FinalNorm, normalised, readFinalNorm } from './final-norm.js';
import { type SourceOptions, type SourceStates, type StatesSource, withFileName } from './source.js';
import { openStepSource } from './step-source.js';
import { restored, stored } from './store.js';
import { openVllmSource } from './vllm-source.js';

/** Whose files are imported: those of the original, or of vLLM's extract-hidden-states connector. */
export type SourceKind = 'step' | 'vllm';

export interface ImportOptions {
  from: SourceKind;
  /** Folder of the files; for `step` also one file. */
  source: string;
  /** Hugging Face folder or hub id of the model that made the states. */
  model: string;
  revision?: string | undefined;
  /** Folder or id of the tokenizer, where it is not the model's. */
  tokenizer?: string | undefined;
  /** Step records, JSONL. */
  inputPath: string;
  /** Shards are named `<outputPath>_hiddenstates_<start>_<end>.safetensors`. */
  outputPath: string;
  /** First line, 0-based; 0 by default. */
  start?: number;
  /** Line after the last one; the end of the file by default. */
  end?: number | undefined;
  /** What the layers of a file are, in its order, as `parseLayers` reads numbers; `last` by default. */
  layers?: string;
  /**
   * What to do with the last layer: `apply` the model's final norm, or `keep` it because it is applied already. By default
   * `apply` for vLLM, whose last layer is the residual stream before the norm, and `keep` for the original's.
   */
  finalNorm?: 'apply' | 'keep' | undefined;
  /** What the states were computed in; by default for vLLM the type of the first file's, for the original bfloat16. */
  compute?: ComputeType | undefined;
  /** How states are stored; F16 by default. */
  storage?: Storage;
  /** Stores the confidence of tokens that an engine gave in the records' field `logprobs`; without it by default. */
  confidence?: { topK?: number } | undefined;
  /** What to do with a file whose traces are all on disk; `keep` by default. */
  afterwards?: 'keep' | 'delete';
  /** Most lines in one shard; 1000 by default. */
  shardSize?: number;
  maxFailures?: FailureLimit;
  ignoreConfigKeys?: readonly string[] | undefined;
  overwrite?: 'refuse' | 'replace';
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
  onWarning?: ((message: string) => void) | undefined;
}

export interface ImportSummary {
  shards: ExtractedShard[];
  traces: number;
  steps: number;
  failures: number;
  layers: number[];
  hidden_size: number;
  model: string;
  dtype: ComputeType;
  /** Files that no trace took; 0 where an earlier run had begun. */
  unused_files: number;
}

const OPEN_SOURCE: Record<SourceKind, (path: string, options: SourceOptions) => Promise<StatesSource>> = {
  step: openStepSource,
  vllm: openVllmSource,
};
const COMPUTE_TYPE: Record<Storage, ComputeType> = { F16: 'float16', BF16: 'bfloat16', F32: 'float32' };

/** Unused files that a warning names. */
const NAMED_FILES = 3;

/**
 * Makes shards of hidden states that another program computed: the rows at the step ends of each record, beside all that
 * `extract` keeps. Finished shards are kept and an unfinished one goes on, as there.
 * @throws ScorerError `TOO_MANY_FAILURES`, `OUTPUT_DIFFERS`, `BAD_LAYERS`, `SOURCE_LOCKED` (retryable), and the codes of
 * the parts: model, tokenizer, plan, source, shard writer
 */
export async function importStates(options: ImportOptions): Promise<ImportSummary> {
  const { from, signal, storage = 'F16', overwrite = 'refuse', afterwards = 'keep', onProgress } = options;
  const { revision, ignoreConfigKeys: ignoreKeys } = options;
  const model = await loadModel(options.model, { ignoreKeys, revision, signal, onProgress });
  const tokenizer = await loadTokenizer(options.tokenizer ?? model.folder);
  const { hiddenSize, layerCount } = model.spec;
  const layers = layersInOrder(options.layers ?? 'last', layerCount);
  const confidenceTopK = options.confidence && (options.confidence.topK ?? DEFAULT_TOP_K);
  const finalNorm = options.finalNorm ?? (from === 'vllm' ? 'apply' : 'keep');
  const plan = await planShards({
    inputPath: options.inputPath,
    outputPath: options.outputPath,
    start: options.start ?? 0,
    end: options.end,
    shardSize: options.shardSize ?? DEFAULT_SHARD_SIZE,
    part: { index: 0, count: 1 },
    signal,
  });
  for (const warning of plan.warnings) options.onWarning?.(warning);

  const source = await OPEN_SOURCE[from](options.source, { layerCount: layers.length, hiddenSize, afterwards, signal });
  try {
    const compute = options.compute ?? (from === 'vllm' && source.dtype ? COMPUTE_TYPE[source.dtype] : 'bfloat16');
    const fingerprint = await modelFingerprint(model, { signal });
    const contents: ShardContents = {
      layers: layers.toSorted((a, b) => a - b),
      hiddenSize,
      storage,
      confidenceTopK,
      confidenceFrom: options.confidence && 'field',
      fingerprint,
      compute,
    };
    const finished = await finishedShards(plan.shards, contents, overwrite);
    for (const shard of finished.keys()) await releaseTraces(shard.path, source);
    const missing = plan.shards.filter((shard) => !finished.has(shard));

    const traceCount = missing.reduce((total, shard) => total + shard.records, 0);
    const normedLayer = finalNorm === 'apply' ? layers.indexOf(layerCount) : -1;
    const context: ImportContext = {
      source,
      tokenizer,
      layers,
      storage,
      norm: normedLayer === -1 ? undefined : { layer: normedLayer, ...(await readFinalNorm(model)) },
      budget: createFailureBudget(options.maxFailures ?? DEFAULT_MAX_FAILURES, traceCount),
      progress: progressCounter(traceCount, onProgress),
      signal,
    };
    const written = new Map<PlannedShard, ExtractedShard>();
    /** Whether an earlier run took some of the files. */
    let goesOn = finished.size > 0;
    await makeFolder(dirname(options.outputPath));
    const records = openRecords(options.inputPath, { logprobsTopK: confidenceTopK, signal });
    const origin = {
      model: model.name,
      model_fingerprint: fingerprint,
      dtype: compute,
      device: 'unknown',
      runtime: `imported from ${from}`,
      confidence_from: contents.confidenceFrom,
    };
    try {
      for (const shard of missing) {
        const metadata: ShardOrigin = { ...origin, input_fingerprint: shard.fingerprint };
        const writer = await openShardWriter(shard.path, { ...contents, metadata, overwrite });
        goesOn ||= writer.finished.size > 0;
        written.set(shard, await importShard(shard, records.range(shard.start, shard.end), writer, context));
      }
    } finally {
      await records.close();
    }

    const unused = goesOn ? [] : source.unused();
    if (unused.length > 0) options.onWarning?.(describeUnused(unused));
    const shards = plan.shards.map((shard) => finished.get(shard) ?? written.get(shard)!);
    return {
      shards,
      traces: sum(shards, 'traces'),
      steps: sum(shards, 'steps'),
      failures: sum(shards, 'failures'),
      layers: [...contents.layers],
      hidden_size: hiddenSize,
      model: model.name,
      dtype: compute,
      unused_files: unused.length,
    };
  } finally {
    await source.close();
  }
}

interface ImportContext {
  source: StatesSource;
  tokenizer: ScorerTokenizer;
  /** As they stand in a file. */
  layers: readonly number[];
  storage: Storage;
  /** The final norm, and to which of the file's layers it is applied. */
  norm: (FinalNorm & { layer: number }) | undefined;
  budget: FailureBudget;
  progress: () => void;
  signal: AbortSignal | undefined;
}

/** For each record: tokens → its states in the source → checked and stored → append; then the shard is sealed. */
async function importShard(
  shard: PlannedShard,
  lines: AsyncIterable<RecordLine>,
  writer: ShardWriter,
  context: ImportContext,
): Promise<ExtractedShard> {
  const { source, tokenizer, budget, progress, signal } = context;
  const failures: TraceFailure[] = [];
  try {
    for await (const line of lines) {
      signal?.throwIfAborted();
      if (!writer.finished.has(line.index)) {
        try {
          if ('error' in line) throw line.error;
          const tokens = tokenizeRecord(line.record, tokenizer);
          const confidence = line.logprobs && fieldConfidence(line.logprobs, tokens, tokenizer);
          if (confidence) checkFiniteConfidence(confidence);
          const states = await source.read(line.index, tokens);
          const hiddenStates = storedStates(states, context);
          await writer.append({
            traceIndex: line.index,
            ...tokens,
            ...labelsOf(line.record),
            hiddenStates,
            confidence,
          });
        } catch (error) {
          // What can be mended by running again, or is a bug, ends the run; a trace that can't be used is only noted.
          if (!(error instanceof ScorerError) || error.kind !== 'input') throw error;
          const failure = { trace_index: line.index, code: error.code, reason: error.message };
          failures.push(failure);
          budget.spend(failure);
        }
      }
      if (writer.finished.has(line.index)) await source.release(line.index);
      progress();
    }
    const { traces, steps } = await writer.seal({ signal });
    await writeFailures(shard.path, failures);
    return { path: shard.path, traces, steps, failures: failures.length, status: 'written' };
  } finally {
    await writer.close();
    if (writer.finished.size === 0) await removePartial(shard.path);
  }
}

/** The states of each layer as the shard keeps them. */
function storedStates(
  { file, dtype, layers: bytes }: SourceStates,
  { layers, norm, storage }: Pick<ImportContext, 'layers' | 'norm' | 'storage'>,
): Map<number, Uint8Array> {
  const hiddenStates = new Map<number, Uint8Array>();
  for (const [i, layer] of layers.entries()) {
    const isNormed = norm?.layer === i;
    const rows = isNormed
      ? stored(normalised(toFloat32(dtype, bytes[i]!), norm), storage)
      : restored(bytes[i]!, dtype, storage);
    hiddenStates.set(layer, rows);
  }
  try {
    checkFinite(hiddenStates, storage);
  } catch (error) {
    throw withFileName(error, file, file);
  }
  return hiddenStates;
}

/** @throws ScorerError `BAD_LAYERS` (usage) */
function layersInOrder(text: string, layerCount: number): number[] {
  if (text === 'last' || text === 'all') return parseLayers(text, layerCount);
  const layers = text.split(',').flatMap((part) => parseLayers(part, layerCount));
  if (new Set(layers).size === layers.length) return layers;
  throw new ScorerError({
    code: 'BAD_LAYERS',
    kind: 'usage',
    what: 'a layer is named twice',
    where: '--layers',
    hint: 'name the layers of a file in its order',
  });
}

/** The files of a shard that an earlier run finished may be left over from it. */
async function releaseTraces(path: string, source: StatesSource): Promise<void> {
  const shard = await openShard(path);
  await shard.close();
  for (const index of shard.traceIndex) await source.release(index);
}

function describeUnused(names: readonly string[]): string {
  const more = names.length > NAMED_FILES ? ', …' : '';
  return `${names.length} files were taken by no trace: ${names.slice(0, NAMED_FILES).join(', ')}${more}`;
}

function progressCounter(total: number, onProgress: OnProgress | undefined): () => void {
  let done = 0;
  return () => onProgress?.({ stage: 'importing hidden states', done: ++done, total, unit: 'traces' });
}

function sum(shards: readonly ExtractedShard[], key: 'traces' | 'steps' | 'failures'): number {
  return shards.reduce((total, shard) => total + shard[key], 0);
}
