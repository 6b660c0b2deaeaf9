import type { Device } from '@scorer/core/onnx';
import type { Storage } from '@scorer/core/schema';
import type { TokenConfidence } from '@scorer/core/shards';
import type { ConfidenceOptions } from '../graph/confidence.js';
import type { ComputeType } from '../graph/graph-weights.js';
import type { DecoderModel } from '../model/load-model.js';
import { confidencePasses } from './confidence-passes.js';
import type { LayerGrouping } from './grouped-decoder.js';
import { type LayerSession, openLayerSession } from './layer-session.js';

export interface DecoderOptions {
  layers: readonly number[];
  storage: Storage;
  /** For `hiddenStatesAndConfidence`. */
  confidence?: ConfidenceOptions | undefined;
  compute: ComputeType;
  device: Device;
  threads?: number | undefined;
  /** For `openGroupedDecoder`. */
  grouping?: LayerGrouping | undefined;
}

/** A model loaded into ONNX Runtime, ready to be asked for hidden states. */
export interface Decoder {
  /** Name and version of the runtime. */
  readonly runtime: string;
  /**
   * How many tokens are best asked for together: the sequences that come in one turn of the event loop, before the
   * answers are awaited. Left out where each sequence is computed alone.
   */
  readonly batchTokens?: number;
  /**
   * The hidden states of one sequence at `positions` (ascending, within the sequence), by layer:
   * bytes of [S, D] row-major in the storage type. Calls may overlap; they are computed in order.
   * @throws ScorerError `TOKEN_BEYOND_VOCABULARY`, `ONNX_RUN_FAILED`; `OUT_OF_MEMORY` (retryable)
   */
  hiddenStates(sequence: TokenSequence): Promise<Map<number, Uint8Array>>;
  /**
   * In the same pass how sure the model was of the tokens after the prompt, or after the first token where there is no
   * prompt. Only where the decoder was opened with `confidence`.
   * @throws ScorerError as `hiddenStates`
   */
  hiddenStatesAndConfidence(sequence: TokenSequence): Promise<StatesAndConfidence>;
  close(): Promise<void>;
}

export interface StatesAndConfidence {
  /** As `hiddenStates` gives them, bit for bit on the CPU. */
  readonly states: Map<number, Uint8Array>;
  readonly confidence: TokenConfidence;
}

export interface TokenSequence {
  /** [T] */
  readonly inputIds: Int32Array;
  /** Tokens whose states are wanted, ascending, [S]. */
  readonly positions: Int32Array;
  /**
   * Leading tokens that sequences after this one may begin with too. They are computed as a part of their own, which
   * is kept: the bytes are the same whether it is used again or not. None by default.
   */
  readonly promptLength?: number;
  /** A decoder with groups of layers does not go on with the sequence once this is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Told, after each group of layers but the last, which share of the sequence's arithmetic is done. */
  readonly onLayers?: ((share: number) => void) | undefined;
}

/** @throws ScorerError the codes of `buildDecoderGraph` and of core's `openSession` */
export async function openDecoder(model: DecoderModel, options: DecoderOptions): Promise<Decoder> {
  return decoderOf(await openLayerSession(model, options), options);
}

/** @param session that computes all wanted layers */
export function decoderOf(
  { runtime, run, close }: LayerSession,
  { layers, confidence }: Pick<DecoderOptions, 'layers' | 'confidence'>,
): Decoder {
  return {
    runtime,
    async hiddenStates(sequence) {
      if (sequence.positions.length === 0) return statesOfNothing(layers);
      return (await run(sequence)).states;
    },
    async hiddenStatesAndConfidence(sequence) {
      if (!confidence) throw new Error('the decoder was opened without confidence');
      const passes = await Promise.all(confidencePasses(sequence).map((pass) => run(pass)));
      return {
        states: passes[0]?.states ?? statesOfNothing(layers),
        confidence: passes.at(-1)?.confidence ?? confidenceOfNothing(),
      };
    },
    close,
  };
}

/** What a sequence without a token after its prompt has. */
function confidenceOfNothing(): TokenConfidence {
  return { logprobs: new Float32Array(), confidences: new Float32Array() };
}

/** What a sequence without a wanted position has. */
export function statesOfNothing(layers: readonly number[]): Map<number, Uint8Array> {
  return new Map(layers.map((layer) => [layer, new Uint8Array()]));
}
