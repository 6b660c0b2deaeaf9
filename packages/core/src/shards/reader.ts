import { isUtf8 } from 'node:buffer';
import { ScorerError } from '../errors/index.js';
import { openSafetensors, type SafetensorsFile, type TensorInfo } from '../safetensors/index.js';
import { SHARD_FORMAT, type ShardMetadata, shardMetadataSchema, storageSchema } from '../schema/index.js';
import { CONFIDENCE_TENSORS, invalidConfidence, type TokenConfidence } from './confidence.js';
import { byTextName, layerTensor, type ShardShape, shardTensors, TEXT_NAMES, type TextName } from './layout.js';
import { firstInvalidLabel } from './step-labels.js';
import type { TraceStates } from './trace.js';

export interface Shard extends ShardShape {
  readonly confidenceTopK: number | undefined;
  /** Whether there is a step with a label of its own. */
  readonly hasStepLabels: boolean;
  readonly path: string;
  /** The open file's descriptor, for readers in other threads; good until `close`. */
  readonly fd: number;
  readonly metadata: ShardMetadata;
  readonly traceCount: number;
  readonly stepCount: number;
  /** [traces + 1]: trace i owns the rows stepOffsets[i] ≤ row < stepOffsets[i + 1]. */
  readonly stepOffsets: Float64Array;
  /** [traces]: 1 where the trace's answer is right. */
  readonly labels: Uint8Array;
  /** [traces]: 0-based line number in the step-record file, ascending. */
  readonly traceIndex: Float64Array;
  /** [traces]. */
  readonly tokenCounts: Float64Array;
  /** [steps]: token index of each step end. */
  stepPositions(): Promise<Int32Array>;
  /** [steps]: 0 prompt, 1 reasoning. */
  stepRegions(): Promise<Uint8Array>;
  /**
   * [steps]: 0 … 1, how right each step is, or -1 where it has no label; undefined where no step of the shard has one.
   * @throws ScorerError `SHARD_STEP_LABEL_INVALID`
   */
  stepLabels(): Promise<Float32Array | undefined>;
  /**
   * Of a trace's last tokens, all those after its prompt; undefined in a shard without.
   * @throws ScorerError `SHARD_CONFIDENCE_INVALID`
   */
  confidence(trace: number): Promise<TokenConfidence | undefined>;
  /** Token ids of one trace. */
  inputIds(trace: number): Promise<Int32Array>;
  /** One text of every trace; of the traces `first` ≤ i < `end` where these are given. */
  text(name: TextName, first?: number, end?: number): Promise<string[]>;
  /**
   * Hidden states of the rows `firstRow` ≤ row < `endRow` of a layer, [rows, hiddenSize] row-major in the storage
   * dtype; nothing else is read.
   * @param into filled from its start; without it a new buffer is made
   * @throws ScorerError `LAYER_NOT_FOUND`, `ROWS_OUT_OF_RANGE`, `BUFFER_TOO_SMALL` (usage)
   */
  readRows(layer: number, firstRow: number, endRow: number, into?: Uint8Array): Promise<Uint8Array>;
  /**
   * Offset in the file of a layer's first row; the others follow it.
   * @throws ScorerError `LAYER_NOT_FOUND` (usage)
   */
  layerStart(layer: number): number;
  /** One trace with all that the shard keeps of it. */
  readTrace(trace: number): Promise<TraceStates>;
  close(): Promise<void>;
}

/** A shard's shape with every property told. */
type Shape = ShardShape & Pick<Shard, 'confidenceTopK'>;

/** Short texts are read many at a time, up to this size: single reads would cost more than the bytes. */
const TEXT_READ_BYTES = 1024 ** 2;

/**
 * Opens a shard and checks that it keeps its contract: metadata, every tensor's presence, dtype and shape, offsets.
 * Hidden states and texts are not read; `verifyShard` reads all.
 * @throws ScorerError the codes of `openSafetensors`; `NOT_A_SHARD`, `SHARD_METADATA_INVALID`, `SHARD_TENSOR_MISSING`,
 * `SHARD_TENSOR_UNEXPECTED`, `SHARD_TENSOR_INVALID`, `SHARD_OFFSETS_INVALID`, `SHARD_LABEL_INVALID`,
 * `SHARD_TRACE_INDEX_INVALID`, `SHARD_CONFIDENCE_INVALID`
 */
export async function openShard(path: string): Promise<Shard> {
  const file = await openSafetensors(path);
  try {
    return await readShard(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readShard(file: SafetensorsFile): Promise<Shard> {
  const { path } = file;
  const metadata = readMetadata(file);
  const shape = checkTensors(file, metadata);
  const hasStepLabels = file.tensors.has('step_labels');
  const traceCount = file.tensor('is_correct').shape[0]!;
  const stepCount = file.tensor('step_positions').shape[0]!;

  const stepOffsets = await readOffsets(file, 'step_offsets', stepCount);
  const inputOffsets = await readOffsets(file, 'input_offsets', file.tensor('input_ids').shape[0]!);
  const textOffsets = new Map<TextName, Float64Array>();
  for (const name of TEXT_NAMES) {
    textOffsets.set(name, await readOffsets(file, `${name}_offsets`, file.tensor(name).shape[0]!));
  }
  const labels = await file.read('is_correct');
  const traceIndex = await readInt64(file, 'trace_index');
  checkLabels(labels, path);
  checkTraceIndex(traceIndex, path);
  const tokenCounts = differences(inputOffsets);
  const confidenceOffsets =
    shape.confidenceTopK === undefined ? undefined : await readConfidenceOffsets(file, tokenCounts);

  const shard: Shard = {
    path,
    fd: file.fd,
    metadata,
    ...shape,
    hasStepLabels,
    traceCount,
    stepCount,
    stepOffsets,
    labels,
    traceIndex,
    tokenCounts,
    stepPositions: async () => int32(await file.read('step_positions')),
    stepRegions: () => file.read('step_regions'),
    stepLabels: async () => (hasStepLabels ? readStepLabels(file, 0, stepCount) : undefined),
    async confidence(trace) {
      if (!confidenceOffsets) return undefined;
      const [start = Number.NaN, end = Number.NaN] = confidenceOffsets.subarray(trace, trace + 2);
      const [logprobs, confidences] = await Promise.all(
        CONFIDENCE_TENSORS.map(async (name) => float32(await file.readRows(name, start, end))),
      );
      const confidence = { logprobs: logprobs!, confidences: confidences! };
      const wrong = invalidConfidence(confidence);
      if (wrong) throw invalid('CONFIDENCE', `${wrong} of trace ${trace}`, path);
      return confidence;
    },
    inputIds: async (trace) => {
      const [start = Number.NaN, end = Number.NaN] = inputOffsets.subarray(trace, trace + 2);
      return int32(await file.readRows('input_ids', start, end));
    },
    async text(name, first = 0, end = traceCount) {
      const offsets = textOffsets.get(name)!;
      const texts: string[] = [];
      for (let i = first; i < end; ) {
        const start = offsets[i] ?? Number.NaN;
        let last = i + 1;
        while (last < end && offsets[last + 1]! - start <= TEXT_READ_BYTES) last += 1;
        const bytes = await file.readRows(name, start, offsets[last] ?? Number.NaN);
        for (; i < last; i++) {
          const text = bytes.subarray(offsets[i]! - start, offsets[i + 1]! - start);
          if (!isUtf8(text)) throw invalid('TEXT', `${name} of trace ${i} is not valid UTF-8`, path);
          texts.push(Buffer.from(text.buffer, text.byteOffset, text.length).toString('utf8'));
        }
      }
      return texts;
    },
    async readRows(layer, firstRow, endRow, into) {
      if (!shape.layers.includes(layer)) throw layerError(layer, shape.layers, path);
      return file.readRows(layerTensor(layer), firstRow, endRow, into);
    },
    layerStart(layer) {
      if (!shape.layers.includes(layer)) throw layerError(layer, shape.layers, path);
      return file.tensor(layerTensor(layer)).start;
    },
    readTrace: (trace) => readTrace(file, shard, trace),
    close: () => file.close(),
  };
  return shard;
}

async function readTrace(file: SafetensorsFile, shard: Shard, trace: number): Promise<TraceStates> {
  const [first = Number.NaN, end = Number.NaN] = shard.stepOffsets.subarray(trace, trace + 2);
  const texts = {} as Record<TextName, string>;
  for (const name of TEXT_NAMES) texts[name] = (await shard.text(name, trace, trace + 1))[0]!;
  const hiddenStates = new Map<number, Uint8Array>();
  for (const layer of shard.layers) hiddenStates.set(layer, await shard.readRows(layer, first, end));
  return {
    traceIndex: shard.traceIndex[trace]!,
    isCorrect: shard.labels[trace] === 1,
    inputIds: await shard.inputIds(trace),
    stepPositions: int32(await file.readRows('step_positions', first, end)),
    stepRegions: await file.readRows('step_regions', first, end),
    stepLabels: shard.hasStepLabels ? await readStepLabels(file, first, end) : undefined,
    confidence: await shard.confidence(trace),
    texts,
    hiddenStates,
  };
}

function readMetadata({ metadata, path }: SafetensorsFile): ShardMetadata {
  if (metadata.format !== SHARD_FORMAT) {
    const hint = 'shards are made by scorer-hidden-states';
    throw new ScorerError({ code: 'NOT_A_SHARD', what: 'no shard of hidden states', where: path, hint });
  }
  const parsed = shardMetadataSchema.safeParse(metadata);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw invalid('METADATA', `__metadata__ ${issue.path.join('.')}: ${issue.message}`, path);
}

/** Compares the file's tensors with those that a shard of its counts must have. */
function checkTensors(file: SafetensorsFile, metadata: ShardMetadata): Shape {
  const { path } = file;
  const { layers, hidden_size: hiddenSize, confidence_top_k: confidenceTopK } = metadata;
  const tensor = (name: string): TensorInfo => {
    const info = file.tensors.get(name);
    if (!info) throw new ScorerError({ code: 'SHARD_TENSOR_MISSING', what: `tensor ${name} is missing`, where: path });
    return info;
  };
  const rows = (name: string): number => tensor(name).shape[0] ?? 0;

  if (layers.some((layer, i) => layer <= (layers[i - 1] ?? -1))) {
    throw invalid('METADATA', '__metadata__ layers do not ascend', path);
  }
  const storage = storageSchema.safeParse(tensor(layerTensor(layers[0]!)).dtype);
  if (!storage.success) throw invalid('TENSOR', `${layerTensor(layers[0]!)} is stored in no known dtype`, path);
  const shape: Shape = { layers, hiddenSize, storage: storage.data, confidenceTopK };
  const expected = shardTensors(shape, {
    traces: rows('is_correct'),
    steps: rows('step_positions'),
    tokens: rows('input_ids'),
    textBytes: byTextName(rows),
    hasStepLabels: file.tensors.has('step_labels'),
    confidenceTokens: confidenceTopK === undefined ? 0 : rows('token_logprobs'),
  });

  for (const spec of expected) {
    const info = tensor(spec.name);
    const [is, shouldBe] = [info, spec].map(({ dtype, shape }) => `${dtype} [${shape}]`);
    if (is !== shouldBe) throw invalid('TENSOR', `${spec.name} is ${is}, not ${shouldBe}`, path);
  }
  const names = new Set(expected.map(({ name }) => name));
  const unexpected = [...file.tensors.keys()].find((name) => !names.has(name));
  if (unexpected !== undefined) {
    const what = `tensor ${JSON.stringify(unexpected)} belongs to no shard of these layers`;
    throw new ScorerError({ code: 'SHARD_TENSOR_UNEXPECTED', what, where: path });
  }
  return shape;
}

async function readOffsets(file: SafetensorsFile, name: string, end: number): Promise<Float64Array> {
  const offsets = await readInt64(file, name);
  if (offsets[0] !== 0) throw invalid('OFFSETS', `${name} begins with ${offsets[0]}, not 0`, file.path);
  const falling = offsets.findIndex((offset, i) => i > 0 && offset < offsets[i - 1]!);
  if (falling !== -1) throw invalid('OFFSETS', `${name} falls at trace ${falling - 1}`, file.path);
  if (offsets.at(-1) !== end) throw invalid('OFFSETS', `${name} ends with ${offsets.at(-1)}, not ${end}`, file.path);
  return offsets;
}

async function readConfidenceOffsets(file: SafetensorsFile, tokenCounts: Float64Array): Promise<Float64Array> {
  const offsets = await readOffsets(file, 'confidence_offsets', file.tensor('token_logprobs').shape[0]!);
  const wrong = differences(offsets).findIndex((count, trace) => count > tokenCounts[trace]!);
  if (wrong === -1) return offsets;
  throw invalid('CONFIDENCE', `trace ${wrong} has a confidence for more tokens than it has`, file.path);
}

async function readStepLabels(file: SafetensorsFile, first: number, end: number): Promise<Float32Array> {
  const labels = float32(await file.readRows('step_labels', first, end));
  const wrong = firstInvalidLabel(labels);
  if (wrong === -1) return labels;
  throw invalid('STEP_LABEL', `step_labels has ${labels[wrong]} in row ${first + wrong}, not 0 … 1 or -1`, file.path);
}

/** Values up to 2^53 are exact; greater ones fail the checks on what they mean. */
async function readInt64(file: SafetensorsFile, name: string): Promise<Float64Array> {
  const bytes = await file.read(name);
  return Float64Array.from(new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8), Number);
}

function checkLabels(labels: Uint8Array, path: string): void {
  const wrong = labels.findIndex((label) => label > 1);
  if (wrong !== -1) throw invalid('LABEL', `is_correct of trace ${wrong} is ${labels[wrong]}, not 0 or 1`, path);
}

function checkTraceIndex(traceIndex: Float64Array, path: string): void {
  const wrong = traceIndex.findIndex((index, i) => index <= (traceIndex[i - 1] ?? -1) || !Number.isSafeInteger(index));
  if (wrong !== -1) throw invalid('TRACE_INDEX', `trace_index does not ascend at trace ${wrong}`, path);
}

/** How many elements each trace owns. */
function differences(offsets: Float64Array): Float64Array {
  return Float64Array.from({ length: offsets.length - 1 }, (_, i) => offsets[i + 1]! - offsets[i]!);
}

function float32(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

function int32(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

function invalid(part: string, what: string, where: string): ScorerError {
  return new ScorerError({ code: `SHARD_${part}_INVALID`, what, where, hint: 'make the shard again' });
}

function layerError(layer: number, layers: readonly number[], where: string): ScorerError {
  const hint = `it keeps ${layers.join(', ')}`;
  return new ScorerError({
    code: 'LAYER_NOT_FOUND',
    kind: 'usage',
    what: `no layer ${layer} in the shard`,
    where,
    hint,
  });
}
