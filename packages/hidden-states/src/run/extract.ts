import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { OnProgress } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { type DeviceKind, type DeviceWish, deviceKind, resolveDevice } from '@scorer/core/onnx';
import type { ShardOrigin, StepRecord, Storage } from '@scorer/core/schema';
import type { TokenConfidence } from '@scorer/core/shards';
import { openShardWriter, removePartial, type ShardWriter } from '@scorer/core/shards';
import { loadTokenizer, type ScorerTokenizer } from '@scorer/core/tokenizer';
import { type ConfidenceOptions, DEFAULT_TOP_K } from '../graph/confidence.js';
import type { ComputeType } from '../graph/graph-weights.js';
import { fieldConfidence } from '../logprobs/field-confidence.js';
import { type AnyModel, loadAnyModel, openAnyDecoder, requireHead } from '../model/any-model.js';
import { computeTypeFor } from '../model/compute-type.js';
import { modelFingerprint } from '../model/fingerprint.js';
import { inBatches } from './batches.js';
import type { Decoder, DecoderOptions, StatesAndConfidence } from './decoder.js';
import {
  createFailureBudget,
  DEFAULT_MAX_FAILURES,
  type FailureBudget,
  type FailureLimit,
  type TraceFailure,
  writeFailures,
} from './failures.js';
import { finishedShards, type ShardContents } from './finished-shards.js';
import { checkFinite, checkFiniteConfidence } from './finite.js';
import { labelsOf } from './labels.js';
import type { LayerGroupCount } from './layer-groups.js';
import { parseLayers } from './layers.js';
import { DEFAULT_SHARD_SIZE, type Plan, type PlannedShard, planShards } from './plan.js';
import { planMemory } from './plan-memory.js';
import { openRecords, type RecordLine } from './records.js';
import { createRunProgress, type ExtractEvent, type RunProgress } from './run-progress.js';
import { schedule } from './schedule.js';
import { type TraceTokens, tokenizeRecord } from './trace-tokens.js';

export interface ExtractOptions {
  /** Hugging Face model folder, the id of a hub model, or an .onnx file. */
  model: string;
  /** Branch, tag or commit of a hub model; `main` by default. */
  revision?: string | undefined;
  /** Step records, JSONL. */
  inputPath: string;
  /** Shards are named `<outputPath>_hiddenstates_<start>_<end>.safetensors`. */
  outputPath: string;
  /** First line, 0-based; 0 by default. */
  start?: number;
  /** Line after the last one; the end of the file by default. */
  end?: number | undefined;
  /** `last` (default), `all`, or numbers with commas, as `parseLayers` reads them. */
  layers?: string;
  /** `auto` by default; `cuda:1` is the second card. */
  device?: DeviceWish;
  /**
   * Stores how sure the model was of every token after the prompt, computed (`model`, the default) or as the engine that
   * generated them says in the records' field `logprobs`. Without it by default.
   */
  confidence?: { from?: 'model' | 'field'; topK?: number } | undefined;
  /** Arithmetic; by default float32 on the CPU and bfloat16 on CUDA. */
  compute?: ComputeType | undefined;
  /** How states are stored; F16 by default. */
  storage?: Storage;
  /** What the file's first line counts as, where the file is a piece of a larger one; 0 by default. */
  firstLine?: number | undefined;
  /** Most lines in one shard; 1000 by default. */
  shardSize?: number;
  /** This process makes shards index, index + count, … */
  part?: { index: number; count: number };
  maxFailures?: FailureLimit;
  /** Keys of config.json that are not known and shall not stop the run. */
  ignoreConfigKeys?: readonly string[] | undefined;
  threads?: number | undefined;
  /**
   * Groups of layers, one of which is in memory at a time, for models that do not fit; the bytes stay the same. 1 by
   * default: all layers at once.
   */
  layerGroups?: LayerGroupCount | undefined;
  /** Replace shards that were made from other input or settings instead of refusing. */
  overwrite?: 'refuse' | 'replace';
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
  /** Takes what happens, trace by trace. */
  onEvent?: ((event: ExtractEvent) => void) | undefined;
  onWarning?: ((message: string) => void) | undefined;
  /** Takes what the run will need, before it begins. */
  onInfo?: ((message: string) => void) | undefined;
  /** Bytes that the pass may use on the device; by default what is free on the CPU, or what the card has. */
  availableMemory?: number | undefined;
  /** Where the decoder comes from: of a caller that keeps one for several ranges. Closed at the end of each. */
  openDecoder?: (model: AnyModel, options: DecoderOptions) => Promise<Decoder>;
}

export interface ExtractedShard {
  path: string;
  traces: number;
  steps: number;
  failures: number;
  /** `kept` where an earlier run had finished it. */
  status: 'written' | 'kept';
}

export interface ExtractSummary {
  shards: ExtractedShard[];
  traces: number;
  steps: number;
  failures: number;
  /** Traces that this run stored; the others were there already, or failed. */
  stored: number;
  layers: number[];
  hidden_size: number;
  model: string;
  device: DeviceKind;
  dtype: ComputeType;
}

/** Traces that the decoder has while others are tokenized and written. */
const TRACES_WAITING = 2;

/**
 * Runs every step record of a range through a decoder and writes the hidden states at the step ends into shards.
 * A finished shard is kept, an unfinished one goes on after its last stored trace.
 * @throws ScorerError `TOO_MANY_FAILURES`, `OUTPUT_DIFFERS`, `BAD_DTYPE`, `CONFIDENCE_UNAVAILABLE`, and the codes of the parts: model,
 * tokenizer, plan, ONNX Runtime, shard writer
 */
export async function extract(options: ExtractOptions): Promise<ExtractSummary> {
  const { signal, storage = 'F16', overwrite = 'refuse' } = options;
  const { revision, onProgress, ignoreConfigKeys: ignoreKeys } = options;
  const model = await loadAnyModel(options.model, { ignoreKeys, revision, signal, onProgress });
  const tokenizer = await loadTokenizer(model.folder);
  const layers = parseLayers(options.layers ?? 'last', model.spec.layerCount);
  const plan = await planShards({
    inputPath: options.inputPath,
    outputPath: options.outputPath,
    start: options.start ?? 0,
    end: options.end,
    firstLine: options.firstLine,
    shardSize: options.shardSize ?? DEFAULT_SHARD_SIZE,
    part: options.part ?? { index: 0, count: 1 },
    signal,
  });
  for (const warning of plan.warnings) options.onWarning?.(warning);

  const device = await resolveDevice(options.device ?? 'auto');
  const compute = computeTypeFor(model, device, options.compute);
  const fingerprint = await modelFingerprint(model, { signal });
  const confidenceTopK = options.confidence && (options.confidence.topK ?? DEFAULT_TOP_K);
  const isConfidenceGiven = options.confidence?.from === 'field';
  const confidence = confidenceTopK && !isConfidenceGiven ? { topK: confidenceTopK } : undefined;
  if (confidence) requireHead(model);
  const { hiddenSize } = model.spec;
  const contents: ShardContents = {
    layers,
    hiddenSize,
    storage,
    confidenceTopK,
    fingerprint,
    compute,
  };

  const finished = await finishedShards(plan.shards, contents, overwrite);
  const missing = plan.shards.filter((shard) => !finished.has(shard));
  const traceCount = missing.reduce((total, shard) => total + shard.records, 0);
  const progress = createRunProgress({ traces: traceCount, tokens: tokensOf(missing, plan) }, plan.tokensOf, options);
  const { layerGroups = 1 } = options;
  const longest = longestTrace(missing, plan);
  const memory =
    missing.length > 0
      ? planMemory(model, { ...options, layers, confidence, compute, device, layerGroups, longest })
      : undefined;
  progress.started({
    model: model.name,
    device: deviceKind(device),
    dtype: compute,
    layers,
    hidden_size: contents.hiddenSize,
    shards: plan.shards.length,
    shards_kept: finished.size,
    traces: traceCount,
    tokens: tokensOf(missing, plan),
    memory: memory?.figures ?? null,
  });

  const counts = { stored: 0 };
  const written = new Map<PlannedShard, ExtractedShard>();
  if (missing.length > 0) {
    await mkdir(dirname(options.outputPath), { recursive: true });
    const decoder = await (options.openDecoder ?? openAnyDecoder)(model, {
      layers,
      storage,
      confidence,
      compute,
      device,
      threads: options.threads,
      grouping: memory?.grouping,
    });
    const records = openRecords(options.inputPath, {
      firstLine: options.firstLine,
      logprobsTopK: isConfidenceGiven ? confidenceTopK : undefined,
      signal,
    });
    const budget = createFailureBudget(options.maxFailures ?? DEFAULT_MAX_FAILURES, traceCount);
    const fits = memory?.fits ?? (() => {});
    const context: ShardContext = { counts, decoder, tokenizer, fits, storage, confidence, budget, progress, signal };
    const origin = {
      model: model.name,
      model_fingerprint: fingerprint,
      dtype: compute,
      device: deviceKind(device),
      runtime: decoder.runtime,
    };
    progress.computing();
    try {
      for (const shard of missing) {
        const metadata: ShardOrigin = { ...origin, input_fingerprint: shard.fingerprint };
        const writer = await openShardWriter(shard.path, { ...contents, metadata, overwrite });
        written.set(shard, await extractShard(shard, records.range(shard.start, shard.end), writer, context));
      }
    } finally {
      await records.close();
      await decoder.close();
    }
  }

  const shards = plan.shards.map((shard) => finished.get(shard) ?? written.get(shard)!);
  const result = {
    traces: sum(shards, 'traces'),
    steps: sum(shards, 'steps'),
    failures: sum(shards, 'failures'),
    stored: counts.stored,
  };
  progress.finished({ shards: shards.length, ...result });
  return {
    shards,
    ...result,
    layers,
    hidden_size: contents.hiddenSize,
    model: model.name,
    device: deviceKind(device),
    dtype: compute,
  };
}

interface ShardContext {
  counts: { stored: number };
  decoder: Decoder;
  tokenizer: ScorerTokenizer;
  /** Throws for a trace of so many tokens that it does not fit into memory. */
  fits: (tokens: number) => void;
  storage: Storage;
  confidence: ConfidenceOptions | undefined;
  budget: FailureBudget;
  progress: RunProgress;
  signal: AbortSignal | undefined;
}

/** For each record, in the order that `schedule` gives: tokens → forward → rows at the step ends → append; then the shard is sealed. */
async function extractShard(
  shard: PlannedShard,
  lines: AsyncIterable<RecordLine>,
  writer: ShardWriter,
  context: ShardContext,
): Promise<ExtractedShard> {
  const { counts, decoder, storage, budget, progress, signal } = context;
  // A batch is stored before the next is begun, which would take hours meanwhile.
  const waiting = decoder.batchTokens === undefined ? TRACES_WAITING : 0;
  const failures: TraceFailure[] = [];
  const inFlight: PendingTrace[] = [];
  let newest: PendingTrace | undefined;

  const store = async ({ index, record, tokens, confidence: given, outputs }: PendingTrace): Promise<void> => {
    try {
      const { states: hiddenStates, confidence = given } = await outputs;
      checkFinite(hiddenStates, storage);
      if (confidence) checkFiniteConfidence(confidence);
      await writer.append({ traceIndex: index, ...tokens, ...labelsOf(record), hiddenStates, confidence });
      counts.stored += 1;
      progress.done(shard, { index, steps: tokens.stepPositions.length });
    } catch (error) {
      fail(index, error);
    }
  };
  const fail = (index: number, error: unknown): void => {
    // What can be mended by running again, or is a bug, ends the run; a trace that can't be used is only noted.
    if (!(error instanceof ScorerError) || error.kind !== 'input') throw error;
    const failure = { trace_index: index, code: error.code, reason: error.message };
    failures.push(failure);
    progress.failed(shard, failure);
    budget.spend(failure);
  };

  async function* unfinished(all: AsyncIterable<RecordLine>): AsyncGenerator<RecordLine, void, undefined> {
    for await (const line of all) {
      if (writer.finished.has(line.index)) progress.kept(line);
      else yield line;
    }
  }

  async function* tokenized(all: AsyncIterable<RecordLine>): AsyncGenerator<TokenizedTrace, void, undefined> {
    for await (const line of all) {
      signal?.throwIfAborted();
      let trace: TokenizedTrace;
      try {
        trace = tokenizeLine(line, context);
      } catch (error) {
        fail(line.index, error);
        continue;
      }
      yield trace;
    }
  }

  try {
    for await (const batch of inBatches(tokenized(schedule(unfinished(lines))), decoder.batchTokens ?? 0)) {
      // In one turn of the event loop, as the decoder wants those that it is to compute together.
      for (const trace of batch) {
        newest = startTrace(trace, context, newest);
        inFlight.push(newest);
      }
      while (inFlight.length > waiting) await store(inFlight.shift()!);
    }
    for (const trace of inFlight.splice(0)) await store(trace);
    const { traces, steps } = await writer.seal({ signal });
    await writeFailures(
      shard.path,
      failures.toSorted((a, b) => a.trace_index - b.trace_index),
    );
    progress.sealed(shard, { traces, steps, failures: failures.length });
    return { path: shard.path, traces, steps, failures: failures.length, status: 'written' };
  } finally {
    await writer.close();
    // A partial without a trace would only be litter.
    if (writer.finished.size === 0) await removePartial(shard.path);
  }
}

interface TokenizedTrace {
  index: number;
  record: StepRecord;
  tokens: TraceTokens;
  /** Where it is in the record. */
  confidence: TokenConfidence | undefined;
}

interface PendingTrace extends TokenizedTrace {
  outputs: Promise<Partial<StatesAndConfidence> & Pick<StatesAndConfidence, 'states'>>;
}

function tokenizeLine(line: RecordLine, { tokenizer, fits }: ShardContext): TokenizedTrace {
  if ('error' in line) throw line.error;
  const { index, record, logprobs } = line;
  const tokens = tokenizeRecord(record, tokenizer);
  fits(tokens.inputIds.length);
  return { index, record, tokens, confidence: logprobs && fieldConfidence(logprobs, tokens, tokenizer) };
}

/** @param previous trace, whose states are taken where this one is identical */
function startTrace(
  trace: TokenizedTrace,
  { decoder, confidence, progress, signal }: ShardContext,
  previous: PendingTrace | undefined,
): PendingTrace {
  const { inputIds, stepPositions, promptLength } = trace.tokens;
  if (previous && isSameTrace(trace.tokens, previous.tokens)) return { ...trace, outputs: previous.outputs };
  const onLayers = (share: number): void => progress.computed(trace, share);
  const sequence = { inputIds, positions: stepPositions, promptLength, signal, onLayers };
  const outputs = confidence
    ? decoder.hiddenStatesAndConfidence(sequence)
    : decoder.hiddenStates(sequence).then((states) => ({ states }));
  // A rejection is met when the trace is stored; should the run end before that, it is nobody's business.
  outputs.catch(() => {});
  return { ...trace, outputs };
}

function isSameTrace(a: TraceTokens, b: TraceTokens): boolean {
  const isSame = (x: Int32Array, y: Int32Array): boolean =>
    x.length === y.length && x.every((value, i) => value === y[i]);
  return (
    a.promptLength === b.promptLength && isSame(a.stepPositions, b.stepPositions) && isSame(a.inputIds, b.inputIds)
  );
}

function longestTrace(shards: readonly PlannedShard[], plan: Plan): number {
  let longest = 0;
  for (const { start, end } of shards) {
    for (let line = start; line < end; line++) longest = Math.max(longest, plan.tokensOf(line));
  }
  return longest;
}

/** Tokens that are computed for all lines of some shards. */
function tokensOf(shards: readonly PlannedShard[], plan: Plan): number {
  let tokens = 0;
  for (const { start, end } of shards) for (let line = start; line < end; line++) tokens += plan.tokensOf(line);
  return tokens;
}

function sum(shards: readonly ExtractedShard[], key: 'traces' | 'steps' | 'failures'): number {
  return shards.reduce((total, shard) => total + shard[key], 0);
}
