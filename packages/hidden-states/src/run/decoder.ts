import { type Device, openSession, type TensorData } from '@scorer/core/onnx';
import { f32ToBf16 } from '@scorer/core/safetensors';
import type { Storage } from '@scorer/core/schema';
import { buildDecoderGraph, hiddenStatesOutput, INPUT_IDS, POSITIONS } from '../graph/decoder-graph.js';
import type { ComputeType } from '../graph/graph-weights.js';
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
  hiddenStates(inputIds: Int32Array, positions: Int32Array): Promise<Map<number, Uint8Array>>;
  close(): Promise<void>;
}

/** @throws ScorerError the codes of `buildDecoderGraph` and of core's `openSession` */
export async function openDecoder(model: DecoderModel, options: DecoderOptions): Promise<Decoder> {
  const { layers, storage, device, threads } = options;
  const session = await openSession(buildDecoderGraph(model, options), {
    device,
    threads,
    externalDataFolder: model.weights.folder,
  });
  return {
    runtime: session.runtime,
    async hiddenStates(inputIds, positions) {
      if (positions.length === 0) return new Map(layers.map((layer) => [layer, new Uint8Array()]));
      // Attention is causal: tokens after the last wanted position cannot change any wanted row.
      const needed = inputIds.subarray(0, positions.at(-1)! + 1);
      const feeds: Record<string, TensorData> = {
        [INPUT_IDS]: { type: 'int32', dims: [1, needed.length], data: needed },
        [POSITIONS]: { type: 'int32', dims: [positions.length], data: positions },
      };
      const outputs = await session.run(feeds, { fetch: layers.map(hiddenStatesOutput) });
      return new Map(layers.map((layer) => [layer, storedBytes(outputs[hiddenStatesOutput(layer)]!, storage)]));
    },
    close: () => session.close(),
  };
}

function storedBytes({ data }: TensorData, storage: Storage): Uint8Array {
  if (storage !== 'BF16') return bytesOf(data);
  const rounded = new Uint16Array(data.length);
  f32ToBf16(data as Float32Array, rounded);
  return bytesOf(rounded);
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
