import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ScorerError } from '../errors/index.js';
import { onFile } from '../files/index.js';
import { type ShardShape, STORAGE_BYTES } from './layout.js';
import { openShard, type Shard } from './reader.js';

/** The shards of a folder as one set of traces and of rows. */
export interface ShardFolder extends ShardShape {
  readonly path: string;
  /** In the order of their names. */
  readonly shards: readonly Shard[];
  readonly traceCount: number;
  readonly stepCount: number;
  /** [shards + 1]: row r of the folder is row r - rowOffsets[k] of the shard k with rowOffsets[k] ≤ r < rowOffsets[k + 1]. */
  readonly rowOffsets: Float64Array;
  /** As `Shard.readRows`, with rows counted through all shards. */
  readRows(layer: number, firstRow: number, endRow: number, into?: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Paths of the shards in a folder, by name; hidden files are what a writer has not finished. */
export async function listShards(folder: string): Promise<string[]> {
  const names = await onFile(folder, () => readdir(folder));
  return names
    .filter((name) => name.endsWith('.safetensors') && !name.startsWith('.'))
    .sort()
    .map((name) => join(folder, name));
}

/**
 * Opens every shard of a folder. They must be of one model, with the same layers, hidden size and storage.
 * @throws ScorerError `NO_SHARDS`, `SHARDS_DISAGREE`, the codes of `openShard`
 */
export async function openShardFolder(path: string): Promise<ShardFolder> {
  const paths = await listShards(path);
  if (paths.length === 0) {
    const hint = 'make some with scorer-hidden-states';
    throw new ScorerError({ code: 'NO_SHARDS', what: 'no shards (*.safetensors) in the folder', where: path, hint });
  }
  const shards: Shard[] = [];
  const close = async (): Promise<void> => {
    for (const shard of shards) await shard.close();
  };
  try {
    for (const shardPath of paths) {
      const shard = await openShard(shardPath);
      shards.push(shard);
      checkAgreement(shards[0]!, shard);
    }
  } catch (error) {
    await close();
    throw error;
  }

  const { layers, hiddenSize, storage, confidenceTopK } = shards[0]!;
  const rowOffsets = new Float64Array(shards.length + 1);
  for (const [k, { stepCount }] of shards.entries()) rowOffsets[k + 1] = rowOffsets[k]! + stepCount;
  const stepCount = rowOffsets.at(-1)!;

  return {
    path,
    shards,
    layers,
    hiddenSize,
    storage,
    confidenceTopK,
    traceCount: shards.reduce((sum, { traceCount }) => sum + traceCount, 0),
    stepCount,
    rowOffsets,
    async readRows(layer, firstRow, endRow, into) {
      if (!(Number.isInteger(firstRow) && 0 <= firstRow && firstRow <= endRow && endRow <= stepCount)) {
        const what = `rows ${firstRow} to ${endRow} of ${stepCount}`;
        throw new ScorerError({ code: 'ROWS_OUT_OF_RANGE', kind: 'usage', what, where: path });
      }
      const rowBytes = hiddenSize * STORAGE_BYTES[storage];
      const bytes = (endRow - firstRow) * rowBytes;
      const target = into ?? new Uint8Array(bytes);
      let row = firstRow;
      for (let k = lastAtOrBelow(rowOffsets, firstRow); row < endRow; k++) {
        const start = rowOffsets[k]!;
        const end = Math.min(endRow, rowOffsets[k + 1]!);
        await shards[k]!.readRows(layer, row - start, end - start, target.subarray((row - firstRow) * rowBytes));
        row = end;
      }
      return target.subarray(0, bytes);
    },
    close,
  };
}

/** Greatest k < length - 1 with offsets[k] ≤ value. */
function lastAtOrBelow(offsets: Float64Array, value: number): number {
  let low = 0;
  let high = offsets.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (offsets[middle]! <= value) low = middle;
    else high = middle;
  }
  return low;
}

/** @throws ScorerError `SHARDS_DISAGREE` */
export function checkAgreement(first: Shard, other: Shard): void {
  const properties: [name: string, of: (shard: Shard) => unknown][] = [
    ['model_fingerprint', ({ metadata }) => metadata.model_fingerprint],
    ['layers', ({ layers }) => layers.join(',')],
    ['hidden_size', ({ hiddenSize }) => hiddenSize],
    ['storage', ({ storage }) => storage],
    ['confidence_top_k', ({ confidenceTopK }) => confidenceTopK ?? 'absent'],
    ['confidence_from', ({ metadata }) => metadata.confidence_from ?? 'absent'],
  ];
  for (const [name, of] of properties) {
    if (of(first) === of(other)) continue;
    throw new ScorerError({
      code: 'SHARDS_DISAGREE',
      what: `${name} is ${of(other)}, in ${first.path} it is ${of(first)}`,
      where: other.path,
      hint: 'keep shards of different models or settings in different folders',
    });
  }
}
