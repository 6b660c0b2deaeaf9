import { permutation, type RandomStream, randomStream } from '@scorer/core/random';
import type { BatchRun, FeatureRows } from '../engine/engine.js';
import { emptyRows, type FeatureSource } from './features.js';
import type { StepSet } from './split.js';

/**
 * Rows come into memory in chunks of this size, two at a time: one is trained on while the next one is read. A set of
 * one chunk is read once and stays. The order of the rows depends on this number, but not on the memory of a machine.
 */
const CHUNK_BYTES = 64 * 1024 ** 2;

/**
 * A chunk of a larger set is put together from this many blocks of neighbouring rows, drawn from the whole set: blocks
 * because single rows read ten times slower, many because the steps of one trace, which stand side by side, share
 * their label.
 */
const BLOCKS_PER_CHUNK = 512;

/** What one call of the engine takes: enough for its overhead to vanish, little enough to copy and to stop soon. */
const RUN_BYTES = 16 * 1024 ** 2;
const MAX_BATCHES_PER_RUN = 64;

export interface TrainingBatches {
  /**
   * All rows once, in an order that seed and epoch decide, as runs of batches. The last batch may be short.
   * @param epoch from 1
   */
  epoch(epoch: number): AsyncGenerator<BatchRun>;
}

export function trainingBatches(
  source: FeatureSource,
  set: StepSet,
  { batchSize, seed, chunkBytes = CHUNK_BYTES }: { batchSize: number; seed: number; chunkBytes?: number },
): TrainingBatches {
  const batchBytes = batchSize * source.rowBytes;
  // Whole batches, so that only the last one of an epoch is short.
  const chunkRows = batchSize * Math.max(1, Math.floor(chunkBytes / batchBytes));
  const load = chunkLoader(source, set, chunkRows);
  const runRows = batchSize * Math.min(MAX_BATCHES_PER_RUN, Math.max(1, Math.floor(RUN_BYTES / batchBytes)));

  return {
    async *epoch(epoch) {
      const random = randomStream(seed, `shuffle epoch ${epoch}`);
      const chunks = shuffledChunks(set.rows.length, chunkRows, random);
      for await (const { members, order, rows } of oneAhead(chunks, load)) {
        const wholeRows = order.length - (order.length % batchSize);
        for (let from = 0; from < wholeRows; from += runRows) {
          yield run(order.subarray(from, Math.min(from + runRows, wholeRows)), members, rows, batchSize);
        }
        const rest = order.subarray(wholeRows);
        if (rest.length > 0) yield run(rest, members, rows, rest.length);
      }
    },
  };

  function run(order: Uint32Array, members: Uint32Array, rows: FeatureRows, size: number): BatchRun {
    const labels = Float32Array.from(order, (slot) => set.labels[members[slot]!]!);
    return { batchSize: size, rows: gatherRows(rows, source.width, order), labels };
  }
}

/** All rows of a set in their own order, chunk by chunk, as often as one likes. A chunk is valid until the next one. */
export function orderedRows(
  source: FeatureSource,
  set: StepSet,
  { chunkBytes = CHUNK_BYTES }: { chunkBytes?: number } = {},
): () => AsyncGenerator<FeatureRows> {
  const chunkRows = Math.max(1, Math.floor(chunkBytes / source.rowBytes));
  const load = chunkLoader(source, set, chunkRows);
  return async function* () {
    for await (const { rows } of oneAhead(orderedChunks(set.rows.length, chunkRows), load)) yield rows;
  };
}

/** Part of a set: `members` [n] are positions in the set, ascending; `order` [n] is the order of use, into members. */
interface Chunk {
  readonly members: Uint32Array;
  readonly order: Uint32Array;
}

function* orderedChunks(size: number, chunkRows: number): Generator<Chunk> {
  for (let from = 0; from < size; from += chunkRows) {
    const count = Math.min(chunkRows, size - from);
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    yield { members: order.map((i) => from + i), order };
  }
}

/** Blocks in random order, cut into chunks, each chunk's rows in random order. One chunk: a plain permutation. */
function* shuffledChunks(size: number, chunkRows: number, random: RandomStream): Generator<Chunk> {
  const blockRows = Math.max(1, Math.floor(chunkRows / BLOCKS_PER_CHUNK));
  const blocks = permutation(Math.ceil(size / blockRows), random);
  let members = new Uint32Array(Math.min(chunkRows, size));
  let count = 0;
  let remaining = size;
  for (const block of blocks) {
    const end = Math.min((block + 1) * blockRows, size);
    for (let position = block * blockRows; position < end; position++) {
      members[count++] = position;
      if (count < members.length) continue;
      yield { members: members.sort(), order: permutation(count, random) };
      remaining -= count;
      members = new Uint32Array(Math.min(chunkRows, remaining));
      count = 0;
    }
  }
}

type LoadedChunk = Chunk & { rows: FeatureRows };

/** Reads chunks; a set that is one chunk is read once. */
function chunkLoader(source: FeatureSource, set: StepSet, chunkRows: number) {
  let resident: Promise<FeatureRows> | undefined;
  return async (chunk: Chunk, spare?: LoadedChunk): Promise<LoadedChunk> => {
    const isWholeSet = set.rows.length <= chunkRows;
    const wanted = (): Uint32Array => chunk.members.map((position) => set.rows[position]!);
    const reading = resident ?? source.read(wanted(), isWholeSet ? undefined : spare?.rows);
    if (isWholeSet) resident = reading;
    return { ...chunk, rows: await reading };
  };
}

/** Loads each item while the one before it is in use; `spare` is one whose use is over. */
async function* oneAhead<Item, Loaded>(
  items: Iterable<Item>,
  load: (item: Item, spare?: Loaded) => Promise<Loaded>,
): AsyncGenerator<Loaded> {
  let ahead: Promise<Loaded> | undefined;
  let spare: Loaded | undefined;
  for (const item of items) {
    const loading = load(item, spare);
    // Its failure is thrown when its turn comes.
    loading.catch(() => {});
    if (ahead) {
      const loaded = await ahead;
      yield loaded;
      spare = loaded;
    }
    ahead = loading;
  }
  if (ahead) yield await ahead;
}

function gatherRows(rows: FeatureRows, width: number, order: Uint32Array): FeatureRows {
  const gathered = emptyRows(rows.type, order.length, width);
  for (let i = 0; i < order.length; i++) {
    const from = order[i]! * width;
    gathered.data.set(rows.data.subarray(from, from + width), i * width);
  }
  return gathered;
}
