import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { OnProgress } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { type Device, graphicsCards, resolveDevice } from '@scorer/core/onnx';
import type { ShardOrigin, StepRecord, Storage } from '@scorer/core/schema';
import { openShardWriter, removePartial, type ShardWriter } from '@scorer/core/shards';
import { loadTokenizer, type ScorerTokenizer } from '@scorer/core/tokenizer';
import type { ComputeType } from '../graph/graph-weights.js';
import { type AnyModel, loadAnyModel, openAnyDecoder } from '../model/any-model.js';
import { computeTypeFor } from '../model/compute-type.js';
import { modelFingerprint } from '../model/fingerprint.js';
import type { Decoder, DecoderOptions } from './decoder.js';
import {
  createFailureBudget,
  DEFAULT_MAX_FAILURES,
  type FailureBudget,
  type FailureLimit,
  type TraceFailure,
  writeFailures,
} from './failures.js';
import { finishedShards, type ShardContents } from './finished-shards.js';
import { checkFinite } from './finite.js';
import { labelsOf } from './labels.js';
import { parseLayers } from './layers.js';
import { checkLength, describeMemory, estimateMemory, longestTrace } from './memory.js';
import { DEFAULT_SHARD_SIZE, type PlannedShard, planShards } from './plan.js';
import { openRecords, type RecordLine } from './records.js';
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
  device?: 'auto' | Device;
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
  /** Replace shards that were made from other input or settings instead of refusing. */
  overwrite?: 'refuse' | 'replace';
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
  onWarning?: ((message: string) => void) | undefined;
  /** Takes what the run will need, before it begins. */
  onInfo?: ((message: string) => void) | undefined;
  /** Bytes that the pass may use on the device; by default what is free on the CPU, or what the card has. */
  availableMemory?: number;
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
  device: Device;
  dtype: ComputeType;
}

/** Traces given to the decoder before the oldest is stored: it computes while others are tokenized and written. */
const TRACES_IN_FLIGHT = 3;

/**
 * Runs every step record of a range through a decoder and writes the hidden states at the step ends into shards.
 * A finished shard is kept, an unfinished one goes on after its last stored trace.
 * @throws ScorerError `TOO_MANY_FAILURES`, `OUTPUT_DIFFERS`, `BAD_DTYPE`, and the codes of the parts: model,
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
  const contents: ShardContents = { layers, hiddenSize: model.spec.hiddenSize, storage, fingerprint, compute };

  const finished = await finishedShards(plan.shards, contents, overwrite);
  const missing = plan.shards.filter((shard) => !finished.has(shard));
  const traceCount = missing.reduce((total, shard) => total + shard.records, 0);
  const progress = progressCounter(traceCount, options.onProgress);

  const counts = { stored: 0 };
  const written = new Map<PlannedShard, ExtractedShard>();
  if (missing.length > 0) {
    await mkdir(dirname(options.outputPath), { recursive: true });
    const fits = planMemory(model, { ...options, layers, compute, device });
    const decoder = await (options.openDecoder ?? openAnyDecoder)(model, {
      layers,
      storage,
      compute,
      device,
      threads: options.threads,
    });
    const records = openRecords(options.inputPath, { firstLine: options.firstLine, signal });
    const budget = createFailureBudget(options.maxFailures ?? DEFAULT_MAX_FAILURES, traceCount);
    const context: ShardContext = { counts, decoder, tokenizer, fits, storage, budget, progress, signal };
    const origin = {
      model: model.name,
      model_fingerprint: fingerprint,
      dtype: compute,
      device,
      runtime: decoder.runtime,
    };
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
  return {
    shards,
    traces: sum(shards, 'traces'),
    steps: sum(shards, 'steps'),
    failures: sum(shards, 'failures'),
    stored: counts.stored,
    layers,
    hidden_size: contents.hiddenSize,
    model: model.name,
    device,
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
  budget: FailureBudget;
  progress: (records: number) => void;
  signal: AbortSignal | undefined;
}

/** For each record, in the order that `schedule` gives: tokens → forward → rows at the step ends → append; then the shard is sealed. */
async function extractShard(
  shard: PlannedShard,
  lines: AsyncIterable<RecordLine>,
  writer: ShardWriter,
  context: ShardContext,
): Promise<ExtractedShard> {
  const { counts, storage, budget, progress, signal } = context;
  const failures: TraceFailure[] = [];
  const inFlight: PendingTrace[] = [];
  let newest: PendingTrace | undefined;

  const store = async ({ index, record, tokens, states }: PendingTrace): Promise<void> => {
    try {
      const hiddenStates = await states;
      checkFinite(hiddenStates, storage);
      await writer.append({ traceIndex: index, ...tokens, ...labelsOf(record), hiddenStates });
      counts.stored += 1;
    } catch (error) {
      fail(index, error);
    }
    progress(1);
  };
  const fail = (index: number, error: unknown): void => {
    // What can be mended by running again, or is a bug, ends the run; a trace that can't be used is only noted.
    if (!(error instanceof ScorerError) || error.kind !== 'input') throw error;
    const failure = { trace_index: index, code: error.code, reason: error.message };
    failures.push(failure);
    budget.spend(failure);
  };

  async function* unfinished(all: AsyncIterable<RecordLine>): AsyncGenerator<RecordLine, void, undefined> {
    for await (const line of all) {
      if (writer.finished.has(line.index)) progress(1);
      else yield line;
    }
  }

  try {
    for await (const line of schedule(unfinished(lines))) {
      signal?.throwIfAborted();
      try {
        newest = startTrace(line, context, newest);
        inFlight.push(newest);
      } catch (error) {
        fail(line.index, error);
        progress(1);
      }
      if (inFlight.length >= TRACES_IN_FLIGHT) await store(inFlight.shift()!);
    }
    for (const trace of inFlight.splice(0)) await store(trace);
    const { traces, steps } = await writer.seal({ signal });
    await writeFailures(
      shard.path,
      failures.toSorted((a, b) => a.trace_index - b.trace_index),
    );
    return { path: shard.path, traces, steps, failures: failures.length, status: 'written' };
  } finally {
    await writer.close();
    // A partial without a trace would only be litter.
    if (writer.finished.size === 0) await removePartial(shard.path);
  }
}

interface PendingTrace {
  index: number;
  record: StepRecord;
  tokens: TraceTokens;
  states: Promise<Map<number, Uint8Array>>;
}

/** @param previous trace, whose states are taken where this one is identical */
function startTrace(
  line: RecordLine,
  { tokenizer, decoder, fits }: ShardContext,
  previous: PendingTrace | undefined,
): PendingTrace {
  if ('error' in line) throw line.error;
  const { index, record } = line;
  const tokens = tokenizeRecord(record, tokenizer);
  const { inputIds, stepPositions, promptLength } = tokens;
  fits(inputIds.length);
  if (previous && isSameTrace(tokens, previous.tokens)) return { index, record, tokens, states: previous.states };
  const states = decoder.hiddenStates({ inputIds, positions: stepPositions, promptLength });
  // A rejection is met when the trace is stored; should the run end before that, it is nobody's business.
  states.catch(() => {});
  return { index, record, tokens, states };
}

function isSameTrace(a: TraceTokens, b: TraceTokens): boolean {
  const isSame = (x: Int32Array, y: Int32Array): boolean =>
    x.length === y.length && x.every((value, i) => value === y[i]);
  return (
    a.promptLength === b.promptLength && isSame(a.stepPositions, b.stepPositions) && isSame(a.inputIds, b.inputIds)
  );
}

/** Says what the run will need, and gives the check of a trace's length. */
function planMemory(
  model: AnyModel,
  {
    layers,
    compute,
    device,
    availableMemory = memoryOf(device),
    onInfo,
  }: Pick<DecoderOptions, 'layers' | 'compute' | 'device'> & Pick<ExtractOptions, 'availableMemory' | 'onInfo'>,
): (tokens: number) => void {
  if (model.kind === 'onnx') {
    onInfo?.('memory: for an .onnx file there is no estimate');
    return () => {};
  }
  if (availableMemory === undefined) {
    onInfo?.('memory: nvidia-smi, which would tell how much the card has, is not there');
    return () => {};
  }
  const estimate = estimateMemory(model, { layers, compute, device });
  const longest = longestTrace(estimate, availableMemory);
  onInfo?.(describeMemory(estimate, longest, availableMemory));
  return (tokens) => checkLength(tokens, longest, estimate);
}

/** What is free on the CPU; on a card all there is, since a decoder that is already open takes a part of it. */
function memoryOf(device: Device): number | undefined {
  return device === 'cpu' ? process.availableMemory() : graphicsCards()[0]?.memory;
}

function progressCounter(total: number, onProgress: OnProgress | undefined): (records: number) => void {
  let done = 0;
  return (records) => {
    done += records;
    onProgress?.({ stage: 'extracting hidden states', done, total, unit: 'traces' });
  };
}

function sum(shards: readonly ExtractedShard[], key: 'traces' | 'steps' | 'failures'): number {
  return shards.reduce((total, shard) => total + shard[key], 0);
}
