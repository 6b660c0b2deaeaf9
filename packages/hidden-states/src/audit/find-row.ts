import { toFloat32 } from '@scorer/core/safetensors';
import type { Shard, ShardFolder } from '@scorer/core/shards';
import { distance } from './distance.js';
import { meanDistance } from './hypotheses.js';

/** A row that was computed, to be looked for. */
export interface WantedRow {
  /** [D] */
  readonly expected: Float32Array;
  /** It is found where a stored row is nearer than this. */
  readonly within: number;
}

/** Where a stored row lies. */
export interface FoundRow {
  readonly shard: Shard;
  /** Of the shard. */
  readonly row: number;
}

const PIECE_ROWS = 1024;

/** Samples of one question begin with the same rows; more places of one row are not looked for. */
const MAX_PLACES = 256;

/** Where each of some rows lies among all rows of a layer, which is read once. */
export async function findRows(
  { shards, hiddenSize, storage }: ShardFolder,
  layer: number,
  wanted: readonly WantedRow[],
  signal?: AbortSignal,
): Promise<FoundRow[][]> {
  const found = wanted.map((): FoundRow[] => []);
  for (const shard of shards) {
    for (let first = 0; first < shard.stepCount; first += PIECE_ROWS) {
      signal?.throwIfAborted();
      const end = Math.min(first + PIECE_ROWS, shard.stepCount);
      const values = toFloat32(storage, await shard.readRows(layer, first, end));
      for (let start = 0, row = first; start < values.length; start += hiddenSize, row++) {
        const stored = values.subarray(start, start + hiddenSize);
        for (const [i, { expected, within }] of wanted.entries()) {
          if (found[i]!.length >= MAX_PLACES) continue;
          // Unrelated rows, almost all, are told by the cheaper measure.
          if (meanDistance(stored, expected) < within && distance(stored, expected) < within)
            found[i]!.push({ shard, row });
        }
      }
    }
  }
  return found;
}
