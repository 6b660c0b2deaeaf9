import { ScorerError } from '@scorer/core/errors';
import { bf16ToF32, f16ToF32, f32ToF16 } from '@scorer/core/safetensors';
import type { Feature, Storage } from '@scorer/core/schema';
import type { ShardDataset, SharedBytes } from '@scorer/core/shards';
import type { FeatureRows } from '../engine/engine.js';

/** What a scorer reads of a step's hidden states. */
export interface FeatureChoice {
  readonly feature: Feature;
  /** How many of the last kept layers `layer_mean` takes; all of them where left out. */
  readonly numLayers?: number | undefined;
  /** The layer of `certain_layer`, numbered as in transformers. */
  readonly layer?: number | undefined;
}

/** The features of all steps of a folder; nothing is read before it is asked for. */
export interface FeatureSource {
  /** The layers that the feature is made of. */
  readonly layers: readonly number[];
  /** Numbers in a row. */
  readonly width: number;
  /** float16 where the shards are, else float32. */
  readonly rowType: FeatureRows['type'];
  readonly rowBytes: number;
  /** Reads rows of the folder, in the order given; to the start of `into` where that is shared and large enough. */
  read(rows: Uint32Array, into?: FeatureRows): Promise<FeatureRows>;
}

/** Layers that are put together pass through buffers of this size: large enough for a disk, small beside the rows. */
const PART_BYTES = 4 * 1024 ** 2;

/**
 * @throws ScorerError `LAYER_NOT_KEPT`, `BAD_OPTION` (usage)
 */
export function featureSource(dataset: ShardDataset, choice: FeatureChoice): FeatureSource {
  const layers = chooseLayers(dataset.layers, choice);
  const { hiddenSize, storage } = dataset;
  const width = choice.feature === 'concat' ? layers.length * hiddenSize : hiddenSize;
  const rowType = storage === 'F16' ? 'float16' : 'float32';
  const storedRowBytes = hiddenSize * (storage === 'F32' ? 4 : 2);
  const partRows = Math.max(1, Math.floor(PART_BYTES / (storedRowBytes * layers.length)));
  const combine = choice.feature === 'layer_mean' ? meanOfLayers : sideBySide;
  const isStoredAsIs = layers.length === 1 && storage !== 'BF16';

  return {
    layers,
    width,
    rowType,
    rowBytes: width * (rowType === 'float16' ? 2 : 4),
    async read(rows, into) {
      const result = startOf(into, rows.length, width) ?? sharedRows(rowType, rows.length, width);
      if (isStoredAsIs) {
        await dataset.gather(layers[0]!, rows, bytesOf(result));
        return result;
      }
      const buffers = layers.map(() => sharedBytes(Math.min(partRows, rows.length) * storedRowBytes));
      for (let from = 0; from < rows.length; from += partRows) {
        const part = rows.subarray(from, from + partRows);
        const states = await Promise.all(layers.map((layer, l) => dataset.gather(layer, part, buffers[l]!)));
        const target = result.data.subarray(from * width, (from + part.length) * width);
        combine(
          states.map((bytes) => widen(bytes, storage)),
          hiddenSize,
          target,
        );
      }
      return result;
    },
  };
}

function chooseLayers(kept: readonly number[], { feature, numLayers, layer }: FeatureChoice): readonly number[] {
  if (numLayers !== undefined && feature !== 'layer_mean') {
    throw badOption('--num-layers', 'it goes with --feature layer_mean only');
  }
  if (layer !== undefined && feature !== 'certain_layer') {
    throw badOption('--layer', 'it goes with --feature certain_layer only');
  }
  switch (feature) {
    case 'last':
      return kept.slice(-1);
    case 'concat':
      return kept;
    case 'layer_mean':
      if (numLayers !== undefined && numLayers > kept.length) throw notKept(`${numLayers} layers`, kept);
      return kept.slice(-(numLayers ?? kept.length));
    case 'certain_layer':
      if (layer === undefined)
        throw badOption('--feature certain_layer', 'it needs --layer', `the shards keep layers ${kept.join(', ')}`);
      if (!kept.includes(layer)) throw notKept(`layer ${layer}`, kept);
      return [layer];
  }
}

function badOption(where: string, what: string, hint?: string): ScorerError {
  return new ScorerError({ code: 'BAD_OPTION', kind: 'usage', what, where, hint });
}

function notKept(what: string, kept: readonly number[]): ScorerError {
  return new ScorerError({
    code: 'LAYER_NOT_KEPT',
    kind: 'usage',
    what: `the shards do not keep ${what}`,
    hint: `they keep ${kept.join(', ')}; extract again with --layers for others`,
  });
}

/** Layers of a row one after the other. float16 in, float16 out: exact. */
function sideBySide(layers: readonly Float32Array[], hiddenSize: number, target: Uint16Array | Float32Array): void {
  const width = layers.length * hiddenSize;
  const joined = new Float32Array(target.length);
  for (const [l, states] of layers.entries()) {
    for (let from = 0, to = l * hiddenSize; from < states.length; from += hiddenSize, to += width) {
      joined.set(states.subarray(from, from + hiddenSize), to);
    }
  }
  store(joined, target);
}

/** In float32, then rounded to the storage type, as numpy does. */
function meanOfLayers(layers: readonly Float32Array[], _hiddenSize: number, target: Uint16Array | Float32Array): void {
  const mean = new Float32Array(target.length);
  for (const states of layers) {
    for (let i = 0; i < mean.length; i++) mean[i]! += states[i]!;
  }
  for (let i = 0; i < mean.length; i++) mean[i]! /= layers.length;
  store(mean, target);
}

function widen(bytes: SharedBytes, storage: Storage): Float32Array {
  if (storage === 'F32') return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  const wide = new Float32Array(halves.length);
  if (storage === 'F16') f16ToF32(halves, wide);
  else bf16ToF32(halves, wide);
  return wide;
}

function store(values: Float32Array, target: Uint16Array | Float32Array): void {
  if (target instanceof Uint16Array) f32ToF16(values, target);
  else target.set(values);
}

/** Room for [count, width] that reading threads see. */
export function sharedRows(type: FeatureRows['type'], count: number, width: number): FeatureRows {
  const size = count * width;
  if (type === 'float16') return { type, count, data: new Uint16Array(new SharedArrayBuffer(2 * size)) };
  return { type, count, data: new Float32Array(new SharedArrayBuffer(4 * size)) };
}

/** The rows `from` ≤ row < `to`, in the same memory. */
export function rowSlice(rows: FeatureRows, width: number, from: number, to: number): FeatureRows {
  const count = to - from;
  return rows.type === 'float16'
    ? { type: rows.type, count, data: rows.data.subarray(from * width, to * width) }
    : { type: rows.type, count, data: rows.data.subarray(from * width, to * width) };
}

function startOf(rows: FeatureRows | undefined, count: number, width: number): FeatureRows | undefined {
  if (!rows || !(rows.data.buffer instanceof SharedArrayBuffer) || rows.count < count) return undefined;
  return rowSlice(rows, width, 0, count);
}

function bytesOf({ data }: FeatureRows): SharedBytes {
  return new Uint8Array(data.buffer as SharedArrayBuffer, data.byteOffset, data.byteLength);
}

function sharedBytes(length: number): SharedBytes {
  return new Uint8Array(new SharedArrayBuffer(length));
}
