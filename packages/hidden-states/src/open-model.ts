import { ScorerError } from '@scorer/core/errors';
import { type Device, resolveDevice } from '@scorer/core/onnx';
import type { ComputeType } from './graph/graph-weights.js';
import { loadAnyModel, openAnyDecoder } from './model/any-model.js';
import { computeTypeFor } from './model/compute-type.js';
import type { LoadModelOptions } from './model/load-model.js';
import { parseLayers } from './run/layers.js';

export interface OpenModelOptions extends Omit<LoadModelOptions, 'signal'> {
  /** The layers that can be asked for: `last` (default), `all`, or numbers with commas. Later ones are not computed. */
  layers?: string;
  /** `auto` by default: CUDA where it works. */
  device?: 'auto' | Device;
  /** By default float32 on the CPU and bfloat16 on CUDA. */
  compute?: ComputeType | undefined;
  /** Of the CPU; the physical cores by default. */
  threads?: number | undefined;
  /** Stops fetching a hub model. */
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
   * @throws ScorerError `BAD_LAYERS`, `BAD_POSITIONS` (usage), `ONNX_RUN_FAILED`; `OUT_OF_MEMORY` (retryable)
   */
  hiddenStates(request: HiddenStatesRequest): Promise<HiddenStates>;
  /** The states of many sequences, in their order; one is computed while the one before it is used. */
  hiddenStatesOf<Request extends HiddenStatesRequest>(
    requests: Iterable<Request> | AsyncIterable<Request>,
    options?: { signal?: AbortSignal | undefined },
  ): AsyncGenerator<{ request: Request; states: HiddenStates }, void, undefined>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Loads a model for a loop of one's own.
 * @param path Hugging Face model folder, the id of a hub model, or an .onnx file
 * @throws ScorerError `BAD_LAYERS`, `BAD_DTYPE` (usage), `CUDA_UNAVAILABLE`, and those of loading the model
 */
export async function openModel(path: string, options: OpenModelOptions = {}): Promise<OpenModel> {
  const model = await loadAnyModel(path, options);
  const { layerCount, hiddenSize } = model.spec;
  const layers = parseLayers(options.layers ?? 'last', layerCount);
  const device = await resolveDevice(options.device ?? 'auto');
  const compute = computeTypeFor(model, device, options.compute);
  const decoder = await openAnyDecoder(model, { layers, storage: 'F32', compute, device, threads: options.threads });

  async function hiddenStates({ signal, ...request }: HiddenStatesRequest): Promise<HiddenStates> {
    signal?.throwIfAborted();
    const inputIds = Int32Array.from(request.inputIds);
    const positions = request.positions ? Int32Array.from(request.positions) : inputIds.map((_, i) => i);
    const wanted = request.layers ?? layers;
    checkPositions(positions, inputIds.length);
    checkLayers(wanted, layers);
    const { promptLength = 0 } = request;
    const states = await untilAborted(decoder.hiddenStates({ inputIds, positions, promptLength }), signal);
    return new Map(wanted.map((layer) => [layer, floatsOf(states.get(layer)!)]));
  }

  async function* hiddenStatesOf<Request extends HiddenStatesRequest>(
    requests: Iterable<Request> | AsyncIterable<Request>,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<{ request: Request; states: HiddenStates }, void, undefined> {
    let pending: { request: Request; states: Promise<HiddenStates> } | undefined;
    for await (const request of requests) {
      const states = hiddenStates({ ...(signal && { signal }), ...request });
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
  return { ...facts, hiddenStates, hiddenStatesOf, close, [Symbol.asyncDispose]: close };
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

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  work.catch(() => {});
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', stop));
}

function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(
    bytes.buffer as ArrayBuffer,
    bytes.byteOffset,
    bytes.byteLength / Float32Array.BYTES_PER_ELEMENT,
  );
}
