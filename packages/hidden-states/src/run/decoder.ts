import { type Device, type OnnxSession, openSession, type TensorData } from '@scorer/core/onnx';
import { f32ToBf16 } from '@scorer/core/safetensors';
import type { Storage } from '@scorer/core/schema';
import { buildDecoderGraph, computedLayers, hiddenStatesOutput, INPUT_IDS, POSITIONS } from '../graph/decoder-graph.js';
import type { ComputeType } from '../graph/graph-weights.js';
import { kernelHeadSize } from '../graph/heads.js';
import { pastInputs, presentOutputs } from '../graph/key-value-cache.js';
import { TRACE_LENGTH } from '../graph/sequence.js';
import type { DecoderModel } from '../model/load-model.js';

export interface DecoderOptions {
  layers: readonly number[];
  storage: Storage;
  compute: ComputeType;
  device: Device;
  threads?: number | undefined;
}

/** A model loaded into ONNX Runtime, ready to be asked for hidden states. */
export interface Decoder {
  /** Name and version of the runtime. */
  readonly runtime: string;
  /**
   * The hidden states of one sequence at `positions` (ascending, within the sequence), by layer:
   * bytes of [S, D] row-major in the storage type. Calls may overlap; they are computed in order.
   * @throws ScorerError `ONNX_RUN_FAILED`; `OUT_OF_MEMORY` (retryable)
   */
  hiddenStates(sequence: TokenSequence): Promise<Map<number, Uint8Array>>;
  close(): Promise<void>;
}

interface TokenSequence {
  /** [T] */
  readonly inputIds: Int32Array;
  /** Tokens whose states are wanted, ascending, [S]. */
  readonly positions: Int32Array;
  /**
   * Leading tokens that sequences after this one may begin with too. They are computed as a part of their own, which
   * is kept: the bytes are the same whether it is used again or not. None by default.
   */
  readonly promptLength?: number;
}

/** @throws ScorerError the codes of `buildDecoderGraph` and of core's `openSession` */
export async function openDecoder(model: DecoderModel, options: DecoderOptions): Promise<Decoder> {
  const { layers, storage, device, threads } = options;
  // On CUDA keys and values would be copied to the host and back, which takes longer than computing a prompt again.
  const keepsPrompts = device === 'cpu';
  const session = await openSession(buildDecoderGraph(model, { ...options, takesPast: keepsPrompts }), {
    device,
    threads,
    varyingLengths: true,
    externalDataFolder: model.weights.folder,
  });
  const run = keepsPrompts ? promptRunner(session, model, options) : wholeRunner(session, options);
  return {
    runtime: session.runtime,
    async hiddenStates({ inputIds, positions, promptLength = 0 }) {
      if (positions.length === 0) return new Map(layers.map((layer) => [layer, new Uint8Array()]));
      // Attention is causal: tokens after the last wanted position cannot change any wanted row.
      const needed = inputIds.subarray(0, positions.at(-1)! + 1);
      const parts = await run({
        inputIds: needed,
        positions,
        promptLength: Math.min(promptLength, needed.length),
        traceLength: model.spec.rotary.long ? { [TRACE_LENGTH]: int32(inputIds.length) } : {},
      });
      return new Map(layers.map((layer, i) => [layer, joinBytes(parts.map((part) => storedBytes(part[i]!, storage)))]));
    },
    close: () => session.close(),
  };
}

type Feeds = Readonly<Record<string, TensorData>>;

/** Runs a sequence part by part; gives the states of each, for every layer. */
type Runner = (sequence: Required<TokenSequence> & { traceLength: Feeds }) => Promise<TensorData[][]>;

function wholeRunner(session: OnnxSession, { layers }: DecoderOptions): Runner {
  const fetch = layers.map(hiddenStatesOutput);
  return async ({ inputIds, positions, traceLength }) => {
    const outputs = await session.run({ ...traceLength, ...tokenFeeds(inputIds, positions) }, { fetch });
    return [fetch.map((name) => outputs[name]!)];
  };
}

/** Runs the prompt, whose keys and values stay with the session, and then the rest after them. */
function promptRunner(session: OnnxSession, { spec }: DecoderModel, { layers, compute }: DecoderOptions): Runner {
  const fetch = layers.map(hiddenStatesOutput);
  const nothing: TensorData = {
    type: compute === 'float16' ? 'float16' : 'float32',
    dims: [1, spec.keyValueHeadCount, 0, kernelHeadSize(spec)],
    data: compute === 'float16' ? new Uint16Array() : new Float32Array(),
  };
  const noPast: Record<string, TensorData> = {};
  const carry: Record<string, string> = {};
  for (let layer = 0; layer < computedLayers(layers); layer++) {
    const [past, present] = [pastInputs(layer), presentOutputs(layer)];
    Object.assign(noPast, { [past.key]: nothing, [past.value]: nothing });
    Object.assign(carry, { [present.key]: past.key, [present.value]: past.value });
  }
  const states = async (feeds: Feeds, positions: Int32Array, carry = {}): Promise<TensorData[]> => {
    const outputs = await session.run(feeds, { fetch: positions.length > 0 ? fetch : [], carry });
    return positions.length > 0 ? fetch.map((name) => outputs[name]!) : [];
  };

  /** The prompt whose keys and values the session has. */
  let kept: { key: string; states: TensorData[] } | undefined;
  // One sequence at a time: a later one would replace the prompt under an earlier one.
  let last: Promise<unknown> = Promise.resolve();

  return ({ inputIds, positions, promptLength, traceLength }) => {
    const parts = last.then(async () => {
      if (promptLength === 0) {
        return [await states({ ...traceLength, ...noPast, ...tokenFeeds(inputIds, positions) }, positions)];
      }
      const prompt = inputIds.subarray(0, promptLength);
      const inPrompt = positions.filter((position) => position < promptLength);
      const key = [prompt, inPrompt, traceLength[TRACE_LENGTH]?.data ?? ''].join(';');
      if (kept?.key !== key) {
        kept = undefined;
        const feeds = { ...traceLength, ...noPast, ...tokenFeeds(prompt, inPrompt) };
        kept = { key, states: await states(feeds, inPrompt, carry) };
      }
      const rest = inputIds.subarray(promptLength);
      const inRest = positions.subarray(inPrompt.length).map((position) => position - promptLength);
      const restStates = rest.length > 0 ? await states({ ...traceLength, ...tokenFeeds(rest, inRest) }, inRest) : [];
      return [kept.states, restStates].filter((part) => part.length > 0);
    });
    last = parts.catch(() => {});
    return parts;
  };
}

function tokenFeeds(inputIds: Int32Array, positions: Int32Array): Record<string, TensorData> {
  return {
    [INPUT_IDS]: { type: 'int32', dims: [1, inputIds.length], data: inputIds },
    // Where nothing is wanted one row is computed all the same: kernels differ in what they make of none.
    [POSITIONS]: positions.length > 0 ? { type: 'int32', dims: [positions.length], data: positions } : int32(0),
  };
}

function int32(value: number): TensorData {
  return { type: 'int32', dims: [1], data: Int32Array.of(value) };
}

/** A layer's states, which left the graph as `OUTPUT_TYPE`, in the storage type. */
export function storedBytes({ data }: TensorData, storage: Storage): Uint8Array {
  if (storage !== 'BF16') return bytesOf(data);
  const rounded = new Uint16Array(data.length);
  f32ToBf16(data as Float32Array, rounded);
  return bytesOf(rounded);
}

function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0]! : new Uint8Array(Buffer.concat(parts));
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
