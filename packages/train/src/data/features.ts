import { ScorerError } from '@scorer/core/errors';
import { bf16ToF32, f16ToF32, f32ToF16 } from '@scorer/core/safetensors';
import type { Feature, Storage } from '@scorer/core/schema';
import type { ShardFolder } from '@scorer/core/shards';
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
  /** Reads rows of the folder, given ascending; into the memory of `spare` where that is large enough. */
  read(rows: Uint32Array, spare?: FeatureRows): Promise<FeatureRows>;
}

/** Rows that lie side by side are read in one go up to this size: large enough for a disk, small beside a chunk. */
const MAX_READ_BYTES = 1024 ** 2;

/**
 * @throws ScorerError `LAYER_NOT_KEPT`, `BAD_OPTION` (usage)
 */
export function featureSource(folder: ShardFolder, choice: FeatureChoice): FeatureSource {
  const layers = chooseLayers(folder.layers, choice);
  const { hiddenSize, storage } = folder;
  const width = choice.feature === 'concat' ? layers.length * hiddenSize : hiddenSize;
  const rowType = storage === 'F16' ? 'float16' : 'float32';
  const rowBytes = width * (rowType === 'float16' ? 2 : 4);
  const storedRowBytes = hiddenSize * (storage === 'F32' ? 4 : 2);
  const maxRows = Math.max(1, Math.floor(MAX_READ_BYTES / storedRowBytes));
  const combine = choice.feature === 'layer_mean' ? meanOfLayers : sideBySide;

  return {
    layers,
    width,
    rowType,
    rowBytes,
    async read(rows, spare) {
      const result = emptyRows(rowType, rows.length, width, spare);
      for (const { at, first, count } of adjacentRuns(rows, maxRows)) {
        const target = result.data.subarray(at * width, (at + count) * width);
        if (layers.length === 1 && storage !== 'BF16') {
          await folder.readRows(layers[0]!, first, first + count, bytesOf(target));
          continue;
        }
        const states = await Promise.all(layers.map((layer) => folder.readRows(layer, first, first + count)));
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
  requireMatch(numLayers === undefined || feature === 'layer_mean', '--num-layers', '--feature layer_mean');
  requireMatch(layer === undefined || feature === 'certain_layer', '--layer', '--feature certain_layer');
  requireMatch(layer !== undefined || feature !== 'certain_layer', '--feature certain_layer', '--layer');
  switch (feature) {
    case 'last':
      return kept.slice(-1);
    case 'concat':
      return kept;
    case 'layer_mean':
      if (numLayers !== undefined && numLayers > kept.length) throw notKept(`${numLayers} layers`, kept);
      return kept.slice(-(numLayers ?? kept.length));
    case 'certain_layer':
      if (!kept.includes(layer!)) throw notKept(`layer ${layer}`, kept);
      return [layer!];
  }
}

function requireMatch(holds: boolean, flag: string, needs: string): void {
  if (holds) return;
  throw new ScorerError({ code: 'BAD_OPTION', kind: 'usage', what: `it goes with ${needs} only`, where: flag });
}

function notKept(what: string, kept: readonly number[]): ScorerError {
  return new ScorerError({
    code: 'LAYER_NOT_KEPT',
    kind: 'usage',
    what: `the shards do not keep ${what}`,
    hint: `they keep ${kept.join(', ')}; extract again with --layers for others`,
  });
}

/** Runs of adjacent rows: `rows[at … at + count]` are first, first + 1, … */
function* adjacentRuns(rows: Uint32Array, maxRows: number) {
  for (let at = 0; at < rows.length; ) {
    let count = 1;
    while (count < maxRows && at + count < rows.length && rows[at + count] === rows[at]! + count) count++;
    yield { at, first: rows[at]!, count };
    at += count;
  }
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

function widen(bytes: Uint8Array, storage: Storage): Float32Array {
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

function bytesOf(array: Uint16Array | Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** Room for [count, width], in the memory of `spare` where that is large enough. */
export function emptyRows(type: FeatureRows['type'], count: number, width: number, spare?: FeatureRows): FeatureRows {
  const size = count * width;
  const memory = spare && spare.data.length >= size ? spare.data.subarray(0, size) : undefined;
  if (type === 'float16') return { type, count, data: memory instanceof Uint16Array ? memory : new Uint16Array(size) };
  return { type, count, data: memory instanceof Float32Array ? memory : new Float32Array(size) };
}
