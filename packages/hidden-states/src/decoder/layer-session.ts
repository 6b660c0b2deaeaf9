import { ScorerError } from '@scorer/core/errors';
import { type OnnxSession, openSession, type TensorData } from '@scorer/core/onnx';
import { f32ToBf16 } from '@scorer/core/safetensors';
import type { Storage } from '@scorer/core/schema';
import type { TokenConfidence } from '@scorer/core/shards';
import type { LayerGroup } from '../graph/builder.js';
import {
  confidenceChunkTokens,
  LAST_TOKEN,
  PRECEDING_TOKEN,
  PREDICTING_PLACES,
  STATE_TOKENS,
  TOKEN_CONFIDENCES,
  TOKEN_LOGPROBS,
} from '../graph/confidence.js';
import { buildDecoderGraph, computedLayers, hiddenStatesOutput, INPUT_IDS, POSITIONS } from '../graph/decoder-graph.js';
import { RIM_TYPE } from '../graph/graph-weights.js';
import { kernelHeadSize } from '../graph/heads.js';
import { KEPT_TOKENS, pastInputs, presentOutputs } from '../graph/key-value-cache.js';
import { RESIDUAL_INPUT, RESIDUAL_OUTPUT } from '../graph/residual-border.js';
import { TRACE_LENGTH } from '../graph/sequence.js';
import type { DecoderModel } from '../model/load-model.js';
import type { DecoderOptions, TokenSequence } from './decoder.js';
import { confidenceOf, type Predictions, predictionFeeds } from './predictions.js';

/** A decoder in a session, or some consecutive layers of one. */
export interface LayerSession {
  /** Name and version of the runtime. */
  readonly runtime: string;
  /**
   * Runs a sequence that has wanted positions, or tokens whose confidence is wanted. Calls may overlap; they are computed in order.
   * @param residuals what the layers before gave for the same sequence, whose memory may go to the session; none where
   * these are the first
   * @throws ScorerError `ONNX_RUN_FAILED`; `OUT_OF_MEMORY` (retryable)
   */
  run(sequence: SequencePass, residuals?: readonly TensorData[]): Promise<LayerOutputs>;
  close(): Promise<void>;
}

export interface SequencePass extends TokenSequence {
  /** Gives the confidence of the tokens after the prompt too, of which there must be one; false by default. */
  readonly confidence?: boolean;
}

export interface LayerOutputs {
  /** Of those wanted layers that are computed here: bytes of [S, D] row-major in the storage type. */
  readonly states: Map<number, Uint8Array>;
  /** Residual streams for the layers after these, one for each part of the sequence; none where no layer follows. */
  readonly residuals: readonly TensorData[];
  /** Of the tokens after the prompt, where it was asked for and the last layer is computed here. */
  readonly confidence: TokenConfidence | undefined;
}

/**
 * @param group the layers to load; all that are wanted where left out
 * @throws ScorerError the codes of `buildDecoderGraph` and of core's `openSession`
 */
export async function openLayerSession(
  model: DecoderModel,
  options: DecoderOptions,
  group: LayerGroup = { first: 1, last: computedLayers(options, model.spec) },
): Promise<LayerSession> {
  const { device, threads, storage } = options;
  // On CUDA keys and values would be copied to the host and back, which takes longer than computing a prompt again.
  // The embeddings alone have none.
  const keepsPrompts = device === 'cpu' && group.last > 0;
  const session = await openSession(buildDecoderGraph(model, { ...options, group, takesPast: keepsPrompts }), {
    device,
    threads,
    varyingLengths: true,
    externalDataFolder: model.weights.folder,
  });
  const layers = options.layers.filter((layer) => session.outputs.includes(hiddenStatesOutput(layer)));
  const run = keepsPrompts ? promptRunner(session, model, { ...options, group }) : wholeRunner(session, model, options);
  return {
    runtime: session.runtime,
    async run({ inputIds, positions, promptLength = 0, confidence = false }, residuals = []) {
      // Attention is causal: tokens after the last wanted position cannot change any wanted row.
      const needed = confidence ? inputIds : inputIds.subarray(0, positions.at(-1)! + 1);
      checkTokens(needed, model.spec.vocabularySize);
      const parts = await run({
        inputIds: needed,
        positions,
        promptLength: Math.min(promptLength, needed.length),
        confidence,
        traceLength: model.spec.rotary.long ? { [TRACE_LENGTH]: int32(inputIds.length) } : {},
        residuals,
      });
      const bytesOfLayer = (layer: number): Uint8Array[] =>
        parts.flatMap(({ [hiddenStatesOutput(layer)]: states }) => (states ? [storedBytes(states, storage)] : []));
      return {
        states: new Map(layers.map((layer) => [layer, joinBytes(bytesOfLayer(layer))])),
        residuals: parts.flatMap(({ [RESIDUAL_OUTPUT]: residual }) => residual ?? []),
        confidence: confidenceOf(parts.at(-1)!, inputIds.length - Math.max(1, promptLength)),
      };
    },
    close: () => session.close(),
  };
}

/** CUDA would look past the table of embeddings without a word; the CPU's error names a node of the graph. */
function checkTokens(inputIds: Int32Array, vocabularySize: number): void {
  const place = inputIds.findIndex((id) => id < 0 || id >= vocabularySize);
  if (place === -1) return;
  throw new ScorerError({
    code: 'TOKEN_BEYOND_VOCABULARY',
    what: `token ${place} has the id ${inputIds[place]}; the model has embeddings for 0 to ${vocabularySize - 1}`,
    hint: 'use the tokenizer that belongs to this model',
  });
}

type Tensors = Readonly<Record<string, TensorData>>;

/** Runs a sequence part by part; gives the outputs of each, states and predictions only where they are wanted. */
type Runner = (
  sequence: Required<Omit<SequencePass, 'signal' | 'onLayers'>> & {
    traceLength: Tensors;
    residuals: readonly TensorData[];
  },
) => Promise<Tensors[]>;

/** Tokens of a sequence that are run together. */
interface Part {
  inputIds: Int32Array;
  positions: Int32Array;
  /** Tokens up to the last one that hidden states need; all where that lies in a part after this one. */
  stateTokens: number;
  residual: TensorData | undefined;
  predictions?: Predictions | undefined;
  /** Leading tokens whose keys and values are carried to later runs; none by default. */
  keptTokens?: number;
}

function wholeRunner(
  session: OnnxSession,
  { spec }: DecoderModel,
  { compute }: Pick<DecoderOptions, 'compute'>,
): Runner {
  const chunkTokens = confidenceChunkTokens(spec, compute);
  return async ({ inputIds, positions, promptLength, confidence, traceLength, residuals: [residual] }) => {
    const first = Math.max(1, promptLength);
    const predictions = confidence ? { firstPlace: first - 1, nextIds: inputIds.subarray(first) } : undefined;
    const part: Part = { inputIds, positions, stateTokens: inputIds.length, residual, predictions };
    const feeds = { ...traceLength, ...feedsOf(part, session, chunkTokens) };
    const fetch = outputsWanted(session.outputs, part);
    if (fetch.length === 0) return [{}];
    return [await session.run(feeds, { fetch, transfer: residual ? [RESIDUAL_INPUT] : [] })];
  };
}

/** Runs the prompt, whose keys and values stay with the session, and then the rest after them. */
function promptRunner(
  session: OnnxSession,
  { spec }: DecoderModel,
  { group, compute }: Pick<DecoderOptions, 'compute'> & { group: LayerGroup },
): Runner {
  const type = RIM_TYPE[compute];
  const nothing = (...dims: number[]): TensorData => ({
    type,
    dims,
    data: type === 'float16' ? new Uint16Array() : new Float32Array(),
  });
  const noCache = nothing(1, spec.keyValueHeadCount, 0, kernelHeadSize(spec));
  const noPast: Record<string, TensorData> = {};
  const carry: Record<string, string> = {};
  for (let layer = group.first - 1; layer < group.last; layer++) {
    const [past, present] = [pastInputs(layer), presentOutputs(layer)];
    Object.assign(noPast, { [past.key]: noCache, [past.value]: noCache });
    Object.assign(carry, { [present.key]: past.key, [present.value]: past.value });
  }
  if (session.outputs.includes(LAST_TOKEN.attended)) {
    noPast[PRECEDING_TOKEN.attended] = nothing(1, 0, spec.headCount * spec.headSize);
    noPast[PRECEDING_TOKEN.residual] = nothing(1, 0, spec.hiddenSize);
    carry[LAST_TOKEN.attended] = PRECEDING_TOKEN.attended;
    carry[LAST_TOKEN.residual] = PRECEDING_TOKEN.residual;
  }
  const outputs = session.outputs.filter((name) => !(name in carry));
  const chunkTokens = confidenceChunkTokens(spec, compute);
  const runPart = async (
    part: Part,
    feeds: Tensors,
    options: { carry?: Record<string, string>; transfer?: string[] },
  ): Promise<Tensors> => {
    const fetch = outputsWanted(outputs, part);
    // Of the layers after the last wanted one, for a pass without confidence.
    if (fetch.length === 0 && !options.carry) return {};
    return session.run({ ...feeds, ...feedsOf(part, session, chunkTokens) }, { fetch, ...options });
  };

  /** The prompt whose keys and values the session has. */
  let kept: { key: string; outputs: Tensors } | undefined;
  // One sequence at a time: a later one would replace the prompt under an earlier one.
  let last: Promise<unknown> = Promise.resolve();

  return ({ inputIds, positions, promptLength, confidence, traceLength, residuals }) => {
    const parts = last.then(async () => {
      const transfer = residuals.length > 0 ? [RESIDUAL_INPUT] : [];
      const inPrompt = positions.filter((position) => position < promptLength);
      const rest: Part = {
        inputIds: inputIds.subarray(promptLength),
        positions: positions.subarray(inPrompt.length).map((position) => position - promptLength),
        stateTokens: (positions.length > inPrompt.length ? positions.at(-1)! + 1 : inputIds.length) - promptLength,
        residual: residuals.at(-1),
        // Place 0 is the prompt's last token, or without a prompt the first one.
        predictions: confidence ? { firstPlace: 0, nextIds: inputIds.subarray(promptLength || 1) } : undefined,
      };
      if (promptLength === 0) return [await runPart(rest, { ...traceLength, ...noPast }, { transfer })];

      const prompt: Part = {
        inputIds: inputIds.subarray(0, promptLength),
        positions: inPrompt,
        stateTokens: promptLength,
        residual: residuals[0],
        keptTokens: promptLength,
      };
      const key = [prompt.inputIds, inPrompt, traceLength[TRACE_LENGTH]?.data ?? ''].join(';');
      if (kept?.key !== key) {
        kept = undefined;
        // Its residual stream is not transferred: other sequences may have the same.
        kept = { key, outputs: await runPart(prompt, { ...traceLength, ...noPast }, { carry }) };
      }
      if (rest.inputIds.length === 0) return [kept.outputs];
      return [kept.outputs, await runPart(rest, traceLength, { transfer })];
    });
    last = parts.catch(() => {});
    return parts;
  };
}

function outputsWanted(outputs: readonly string[], { positions, predictions }: Part): string[] {
  return outputs.filter((name) => {
    if (name === RESIDUAL_OUTPUT) return true;
    return name === TOKEN_LOGPROBS || name === TOKEN_CONFIDENCES ? predictions !== undefined : positions.length > 0;
  });
}

function feedsOf(
  { inputIds, positions, stateTokens, residual, predictions, keptTokens = 0 }: Part,
  { inputs }: OnnxSession,
  chunkTokens: number,
): Record<string, TensorData> {
  const tokens: Record<string, TensorData> = residual
    ? { [RESIDUAL_INPUT]: residual }
    : { [INPUT_IDS]: { type: 'int32', dims: [1, inputIds.length], data: inputIds } };
  return {
    ...tokens,
    // Where nothing is wanted one row is computed all the same: kernels differ in what they make of none.
    [POSITIONS]: positions.length > 0 ? { type: 'int32', dims: [positions.length], data: positions } : int32(0),
    ...(inputs.includes(STATE_TOKENS) && { [STATE_TOKENS]: int64(stateTokens) }),
    ...(inputs.includes(KEPT_TOKENS) && { [KEPT_TOKENS]: int64(keptTokens) }),
    ...(inputs.includes(PREDICTING_PLACES) && predictionFeeds(predictions, chunkTokens)),
  };
}

function int64(value: number): TensorData {
  return { type: 'int64', dims: [1], data: BigInt64Array.of(BigInt(value)) };
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
