import { ScorerError } from '@scorer/core/errors';
import { type Device, type DeviceWish, resolveDevice } from '@scorer/core/onnx';
import type { TokenConfidence } from '@scorer/core/shards';
import { type ConfidenceOptions, DEFAULT_TOP_K } from './graph/confidence.js';
import type { ComputeType } from './graph/graph-weights.js';
import { loadAnyModel, openAnyDecoder, requireHead } from './model/any-model.js';
import { computeTypeFor } from './model/compute-type.js';
import type { LoadModelOptions } from './model/load-model.js';
import { parseLayers } from './run/plan/layers.js';

export interface OpenModelOptions extends Omit<LoadModelOptions, 'signal'> {
  /** The layers that can be asked for: `last` (default), `all`, or numbers with commas. Later ones are not computed. */
  layers?: string;
  /** `auto` by default: CUDA where it works; `cuda:1` is the second card. */
  device?: DeviceWish;
  /** For `tokenConfidence`: loads the head too, and all layers. */
  confidence?: Partial<ConfidenceOptions> | undefined;
  /** By default float32 on the CPU and bfloat16 on CUDA. */
  compute?: ComputeType | undefined;
  /** Of the CPU; the physical cores by default. */
  threads?: number | undefined;
  /** Rejects at once; what was being loaded is closed again when it is there. */
  signal?: AbortSignal | undefined;
}

export interface HiddenStatesRequest {
  /** Tokens of one sequence, [T]. */
  inputIds: ArrayLike<number>;
  /** Ascending token indices, [S]; all of them by default. */
  positions?: ArrayLike<number>;
  /** Of the model's `layers`; all of these by default. */
  layers?: readonly number[];
  /** Leading tokens that the next sequences begin with too: they are computed once for neighbours. */
  promptLength?: number;
  /** Rejects at once; a pass that has begun runs to its end all the same, before the next one. */
  signal?: AbortSignal | undefined;
}

export interface TokenConfidenceRequest {
  /** Tokens of one sequence, [T]. */
  inputIds: ArrayLike<number>;
  /** Leading tokens whose confidence is not wanted, as those of a prompt; the next sequences may begin with them too. */
  promptLength?: number;
  /** As of `HiddenStatesRequest`. */
  signal?: AbortSignal | undefined;
}

/** By layer: Float32Array, [S, D] row-major. */
export type HiddenStates = Map<number, Float32Array>;

/** A decoder in memory, in a thread of its own. */
export interface OpenModel {
  readonly name: string;
  /** Layers are numbered as in transformers: 0 = embeddings, k = after layer k, `layerCount` = after the final norm. */
  readonly layerCount: number;
  /** D */
  readonly hiddenSize: number;
  /** Those that can be asked for, ascending. */
  readonly layers: readonly number[];
  readonly device: Device;
  readonly compute: ComputeType;
  /**
   * The hidden states of one sequence. Calls may overlap and are computed in order.
   * @throws ScorerError `BAD_LAYERS`, `BAD_TOKENS`, `BAD_POSITIONS` (usage), `TOKEN_BEYOND_VOCABULARY`,
   * `ONNX_RUN_FAILED`; `OUT_OF_MEMORY` (retryable)
   */
  hiddenStates(request: HiddenStatesRequest): Promise<HiddenStates>;
  /**
   * How sure the model was of the tokens after the prompt, of a sequence without one of those after the first token:
   * their log-probabilities, and the token confidence of DeepConf. Only of a model opened with `confidence`.
   * @throws ScorerError `CONFIDENCE_UNAVAILABLE`, and as `hiddenStates`
   */
  tokenConfidence(request: TokenConfidenceRequest): Promise<TokenConfidence>;
  /** The states of many sequences, in their order; one is computed while the one before it is used. */
  hiddenStatesOf<Request extends HiddenStatesRequest>(
    requests: Iterable<Request> | AsyncIterable<Request>,
    options?: { signal?: AbortSignal | undefined },
  ): AsyncGenerator<{ request: Request; states: HiddenStates }, void, undefined>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Loads a model for a loop of one's own. All layers that are asked for are in memory: a model that does not fit is for
 * `extract` with `layerGroups`.
 * @param path Hugging Face model folder, the id of a hub model, or an .onnx file
 * @throws ScorerError `BAD_LAYERS`, `BAD_DTYPE`, `CONFIDENCE_UNAVAILABLE` (usage), `HEAD_MISSING`, `CUDA_UNAVAILABLE`,
 * and those of loading the model
 */
export async function openModel(path: string, options: OpenModelOptions = {}): Promise<OpenModel> {
  const model = await loadAnyModel(path, options);
  const { layerCount, hiddenSize } = model.spec;
  const layers = parseLayers(options.layers ?? 'last', layerCount);
  const device = await resolveDevice(options.device ?? 'auto');
  options.signal?.throwIfAborted();
  const compute = computeTypeFor(model, device, options.compute);
  const confidence = options.confidence && { topK: DEFAULT_TOP_K, ...options.confidence };
  if (confidence) requireHead(model);
  const opening = openAnyDecoder(model, {
    layers,
    storage: 'F32',
    confidence,
    compute,
    device,
    threads: options.threads,
  });
  const decoder = await untilAborted(opening, options.signal).catch((error: unknown) => {
    // Loading can't be interrupted.
    opening.then((late) => late.close()).catch(() => {});
    throw error;
  });

  async function hiddenStates({ signal, ...request }: HiddenStatesRequest): Promise<HiddenStates> {
    signal?.throwIfAborted();
    const inputIds = int32s('inputIds', request.inputIds);
    const positions = request.positions ? int32s('positions', request.positions) : inputIds.map((_, i) => i);
    const wanted = request.layers ?? layers;
    checkPositions(positions, inputIds.length);
    checkPromptLength(request.promptLength, inputIds.length);
    checkLayers(wanted, layers);
    const { promptLength = 0 } = request;
    const states = await untilAborted(decoder.hiddenStates({ inputIds, positions, promptLength }), signal);
    return new Map(wanted.map((layer) => [layer, floatsOf(states.get(layer)!)]));
  }

  async function tokenConfidence({ signal, ...request }: TokenConfidenceRequest): Promise<TokenConfidence> {
    signal?.throwIfAborted();
    if (!confidence) throw openedWithoutConfidence();
    const inputIds = int32s('inputIds', request.inputIds);
    checkPromptLength(request.promptLength, inputIds.length);
    const sequence = { inputIds, positions: new Int32Array(), promptLength: request.promptLength ?? 0 };
    return (await untilAborted(decoder.hiddenStatesAndConfidence(sequence), signal)).confidence;
  }

  async function* hiddenStatesOf<Request extends HiddenStatesRequest>(
    requests: Iterable<Request> | AsyncIterable<Request>,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<{ request: Request; states: HiddenStates }, void, undefined> {
    let pending: { request: Request; states: Promise<HiddenStates> } | undefined;
    for await (const request of signal ? abortable(requests, signal) : requests) {
      const either = signal && request.signal ? AbortSignal.any([signal, request.signal]) : (signal ?? request.signal);
      const states = hiddenStates({ ...request, signal: either });
      // Should the caller stop before it is looked at, its failure is nobody's business.
      states.catch(() => {});
      const ready = pending;
      pending = { request, states };
      if (ready) yield { request: ready.request, states: await ready.states };
    }
    if (pending) yield { request: pending.request, states: await pending.states };
  }

  const close = (): Promise<void> => decoder.close();
  const facts = { name: model.name, layerCount, hiddenSize, layers, device, compute };
  return { ...facts, hiddenStates, tokenConfidence, hiddenStatesOf, close, [Symbol.asyncDispose]: close };
}

/** What has a fraction, or is too large, would become another number without a word. */
function int32s(where: string, values: ArrayLike<number>): Int32Array {
  const numbers = Int32Array.from(values);
  const wrong = numbers.findIndex((number, i) => number !== values[i]);
  if (wrong === -1) return numbers;
  const what = `number ${wrong} is ${values[wrong]}, which is no whole number of 32 bits`;
  throw new ScorerError({ code: where === 'inputIds' ? 'BAD_TOKENS' : 'BAD_POSITIONS', kind: 'usage', what, where });
}

function checkPositions(positions: Int32Array, length: number): void {
  const isWrong = positions.findIndex((position, i) => position >= length || position <= (positions[i - 1] ?? -1));
  if (isWrong === -1) return;
  throw new ScorerError({
    code: 'BAD_POSITIONS',
    kind: 'usage',
    what: `position ${positions[isWrong]} is not within the ${length} tokens, or not after the one before it`,
    where: 'positions',
  });
}

function checkPromptLength(promptLength: number | undefined, length: number): void {
  if (promptLength === undefined || (Number.isInteger(promptLength) && promptLength >= 0 && promptLength <= length))
    return;
  throw new ScorerError({
    code: 'BAD_POSITIONS',
    kind: 'usage',
    what: `a prompt of ${promptLength} tokens is not within the ${length} tokens`,
    where: 'promptLength',
  });
}

function checkLayers(wanted: readonly number[], layers: readonly number[]): void {
  const missing = wanted.find((layer) => !layers.includes(layer));
  if (missing === undefined) return;
  throw new ScorerError({
    code: 'BAD_LAYERS',
    kind: 'usage',
    what: `the model was opened without layer ${missing}`,
    where: 'layers',
    hint: `it has ${layers.join(', ')}: name others in openModel's options`,
  });
}

function openedWithoutConfidence(): ScorerError {
  return new ScorerError({
    code: 'CONFIDENCE_UNAVAILABLE',
    kind: 'usage',
    what: 'the model was opened without its head',
    where: 'confidence',
    hint: "give openModel's options confidence: {}",
  });
}

/** What a source gives, also one that is slow to give it, until the signal. */
async function* abortable<T>(source: Iterable<T> | AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const items = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  const next = (): Promise<IteratorResult<T>> => untilAborted(Promise.resolve(items.next()), signal);
  try {
    for (let item = await next(); !item.done; item = await next()) yield item.value;
  } finally {
    // Not awaited: a source that waits itself would answer only after that.
    Promise.resolve(items.return?.()).catch(() => {});
  }
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  // Should the signal come first, its failure is nobody's business.
  work.catch(() => {});
  if (!signal) return work;
  signal.throwIfAborted();
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', stop));
}

function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(
    bytes.buffer as ArrayBuffer,
    bytes.byteOffset,
    bytes.byteLength / Float32Array.BYTES_PER_ELEMENT,
  );
}
