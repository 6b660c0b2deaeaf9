import { type ShardShape, STORAGE_BYTES } from './layout.js';
import type { Shard } from './reader.js';

/**
 * Work for one reader thread, as numbers alone so that it is passed on without a copy: reads one after the other, each
 *
 *     shard, file descriptor, position, bytes, parts, then for each part: offset in the read, offset in the target, bytes
 */
export type ReadJob = Float64Array<ArrayBuffer>;

/** Rows of a folder's shards, and where the files hold them. */
export interface RowLayout extends Pick<ShardShape, 'hiddenSize' | 'storage'> {
  readonly shards: readonly Pick<Shard, 'fd' | 'layerStart'>[];
  /** [shards + 1]: shard k holds the rows rowOffsets[k] ≤ row < rowOffsets[k + 1]. */
  readonly rowOffsets: Float64Array;
}

/** One read takes up to this much: from here on a disk is busy, and the scratch memory of a thread stays small. */
const MAX_READ_BYTES = 1024 ** 2;

/** Bytes between two rows that are read and thrown away, because that is cheaper than another call. */
const MAX_GAP_BYTES = 16 * 1024;

/** A job ends after this many bytes or reads: enough to pay for its message, little enough to share among threads. */
const JOB_BYTES = 1024 ** 2;
const JOB_READS = 32;

/**
 * The reads that bring `rows`, given in any order, to a target in the order given. They rise through the files, and
 * rows that lie close together share one.
 * @param rows all below rowOffsets.at(-1)
 */
export function planGather(layout: RowLayout, layer: number, rows: Uint32Array): ReadJob[] {
  const { shards, rowOffsets, hiddenSize, storage } = layout;
  const rowBytes = hiddenSize * STORAGE_BYTES[storage];
  const maxRows = Math.max(1, Math.floor(MAX_READ_BYTES / rowBytes));
  const maxGap = Math.floor(MAX_GAP_BYTES / rowBytes);
  const slots = slotsByRow(rows);

  const jobs: ReadJob[] = [];
  let job: number[] = [];
  let jobBytes = 0;
  let jobReads = 0;
  let shard = 0;
  for (let i = 0; i < slots.length; ) {
    const first = rows[slots[i]!]!;
    while (rowOffsets[shard + 1]! <= first) shard += 1;
    const limit = Math.min(first + maxRows, rowOffsets[shard + 1]!);

    const parts: number[] = [];
    let end = first;
    for (; i < slots.length; i++) {
      const slot = slots[i]!;
      const row = rows[slot]!;
      if (row >= limit || row - end > maxGap) break;
      const target = slot * rowBytes;
      const goesOn = row === end && target === parts.at(-2)! + parts.at(-1)!;
      if (goesOn) parts[parts.length - 1]! += rowBytes;
      else parts.push((row - first) * rowBytes, target, rowBytes);
      end = row + 1;
    }

    const { fd, layerStart } = shards[shard]!;
    const bytes = (end - first) * rowBytes;
    const position = layerStart(layer) + (first - rowOffsets[shard]!) * rowBytes;
    job.push(shard, fd, position, bytes, parts.length / 3, ...parts);
    jobBytes += bytes;
    jobReads += 1;
    if (jobBytes >= JOB_BYTES || jobReads >= JOB_READS || i === slots.length) {
      jobs.push(Float64Array.from(job));
      job = [];
      jobBytes = 0;
      jobReads = 0;
    }
  }
  return jobs;
}

/** Positions in `rows`, by row. */
function slotsByRow(rows: Uint32Array): Float64Array {
  const count = rows.length;
  // Row and position in one number, because numbers sort many times faster than by a comparison; below 2^53 as long as
  // there are less than 2^21 rows, which is more than any batch has memory for.
  const keys = Float64Array.from(rows, (row, i) => row * count + i).sort();
  return keys.map((key) => key % count);
}
