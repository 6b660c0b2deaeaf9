import { ScorerError } from '../errors/index.js';
import { openShardFolder, type ShardFolder } from './folder.js';
import { planGather } from './gather-plan.js';
import { STORAGE_BYTES } from './layout.js';
import { createRowReader, type SharedBytes } from './row-reader.js';
import { shuffledChunks } from './shuffled-rows.js';
import { NO_STEP_LABEL } from './step-labels.js';

export interface ShardDatasetOptions {
  /** What a run of `batches` may hold of hidden states; 64 MiB by default. Single rows take their own buffer. */
  memoryBytes?: number;
}

/** A folder of shards as data to learn from: rows by number, at the speed of the disk and off the main thread. */
export interface ShardDataset extends ShardFolder {
  /** [traces]: 1 where the trace's answer is right. */
  readonly labels: Uint8Array;
  /** [traces + 1]: trace i owns the folder's rows stepOffsets[i] ≤ row < stepOffsets[i + 1]. */
  readonly stepOffsets: Float64Array;
  /** [rows]: 0 where the step ends inside the prompt, 1 in the reasoning. */
  stepRegions(): Promise<Uint8Array>;
  /** [rows]: 0 … 1, how right each step is, or -1 where it has no label; undefined where no step of the folder has one. */
  stepLabels(): Promise<Float32Array | undefined>;
  /** Which question each trace answers. */
  questions(): Promise<TraceQuestions>;
  /**
   * Hidden states of rows in any order, also more than once: [rows, hiddenSize] row-major in the storage dtype.
   * @param into filled from its start; without it a new buffer is made
   * @throws ScorerError `LAYER_NOT_FOUND`, `ROWS_OUT_OF_RANGE`, `BUFFER_TOO_SMALL` (usage), `DISK_ERROR`,
   * `FILE_TRUNCATED`, …
   */
  gather(layer: number, rows: Uint32Array, into?: SharedBytes): Promise<SharedBytes>;
  /**
   * All rows once in a random order, which follows from the seed, the choice of rows, `blockRows`, `batchRows` and the
   * set's `memoryBytes`. The next part of the set is read while this one is in use.
   * @throws ScorerError `MEMORY_TOO_SMALL`, `BAD_OPTION` (usage), those of `gather`
   */
  batches(options: BatchOptions): AsyncGenerator<RowBatch, void, undefined>;
}

export interface TraceQuestions {
  /** [traces]: equal for traces of equal questions, counted from 0 in the order in which they come. */
  readonly numbers: Uint32Array;
  /** The question of each number. */
  readonly texts: readonly string[];
}

export interface BatchOptions {
  layer: number;
  /** Rows a batch; the last may have fewer. */
  batchRows: number;
  /** Equal seeds give equal orders: pass another one for each epoch. */
  seed: number;
  /** Rows of the folder to use, each once; ascending ones are read fastest. All by default. */
  rows?: Uint32Array;
  /**
   * Neighbours that are read together, 64 by default. 1 gives every order the same chance and reads single rows, which
   * takes 10 times as long on a disk and 4 bytes of memory a row.
   */
  blockRows?: number;
  signal?: AbortSignal | undefined;
}

export interface RowBatch {
  /** [count]: numbers of the rows. */
  readonly rows: Uint32Array;
  /** [count, hiddenSize] row-major in the storage dtype. The next batch takes the place of this one: copy what is kept. */
  readonly states: SharedBytes;
}

/** Enough for blocks from a hundred places of the set at once, little beside what Node itself takes. */
const MEMORY_BYTES = 64 * 1024 ** 2;
const BLOCK_ROWS = 64;

/**
 * Opens the shards of a folder as one set; no hidden states are read.
 * @throws ScorerError the codes of `openShardFolder`
 */
export async function openShardDataset(
  path: string,
  { memoryBytes = MEMORY_BYTES }: ShardDatasetOptions = {},
): Promise<ShardDataset> {
  const folder = await openShardFolder(path);
  const { shards, stepCount, hiddenSize, storage } = folder;
  const reader = createRowReader(shards.map(({ path }) => path));
  const rowBytes = hiddenSize * STORAGE_BYTES[storage];

  async function gather(layer: number, rows: Uint32Array, into?: SharedBytes): Promise<SharedBytes> {
    const outside = rows.find((row) => row >= stepCount);
    if (outside !== undefined) throw usageError('ROWS_OUT_OF_RANGE', `row ${outside} of ${stepCount}`, path);
    const bytes = rows.length * rowBytes;
    const target = into ?? sharedBytes(bytes);
    if (target.length < bytes) {
      throw usageError('BUFFER_TOO_SMALL', `a buffer of ${target.length} bytes for ${bytes}`, path);
    }
    await reader.read(planGather(folder, layer, rows), target);
    return target.subarray(0, bytes);
  }

  async function* batches(options: BatchOptions): AsyncGenerator<RowBatch, void, undefined> {
    const { layer, batchRows, seed, rows, blockRows = BLOCK_ROWS, signal } = options;
    checkPositive({ batchRows, blockRows }, path);
    const count = rows?.length ?? stepCount;
    const chunkRows = Math.min(chunkRowsFor(batchRows), count);
    // One is in use while the other is filled.
    let [next, other] = [sharedBytes(chunkRows * rowBytes), sharedBytes(chunkRows * rowBytes)];

    const load = async (chunk: Uint32Array, buffer: SharedBytes) => {
      const wanted = rows ? chunk.map((position) => rows[position]!) : chunk;
      return { rows: wanted, states: await gather(layer, wanted, buffer) };
    };
    const chunks = shuffledChunks({ count, blockRows, chunkRows, seed });
    const loadNext = () => {
      const { value } = chunks.next();
      const loading = value && load(value, next);
      // Its failure is thrown when its turn comes.
      loading?.catch(() => {});
      [next, other] = [other, next];
      return loading;
    };

    let ahead = loadNext();
    try {
      while (ahead) {
        const loaded = await ahead;
        ahead = loadNext();
        for (let from = 0; from < loaded.rows.length; from += batchRows) {
          signal?.throwIfAborted();
          const to = Math.min(from + batchRows, loaded.rows.length);
          const states = loaded.states.subarray(from * rowBytes, to * rowBytes);
          yield { rows: loaded.rows.subarray(from, to), states };
        }
      }
    } finally {
      await ahead?.catch(() => {});
    }
  }

  /** Whole batches, so that only the last one of all is short. */
  function chunkRowsFor(batchRows: number): number {
    const batchesAChunk = Math.floor(memoryBytes / 2 / (batchRows * rowBytes));
    if (batchesAChunk >= 1) return batchesAChunk * batchRows;
    const what = `two batches of ${batchRows} rows take ${2 * batchRows * rowBytes} bytes, ${memoryBytes} are allowed`;
    throw usageError('MEMORY_TOO_SMALL', what, path);
  }

  return {
    ...folder,
    labels: joined(shards.map(({ labels }) => labels)),
    stepOffsets: stepOffsetsOf(folder),
    async stepRegions() {
      const regions: Uint8Array[] = [];
      for (const shard of shards) regions.push(await shard.stepRegions());
      return joined(regions);
    },
    stepLabels: () => stepLabelsOf(folder),
    questions: () => questionsOf(folder),
    gather,
    batches,
    async close() {
      await reader.close();
      await folder.close();
    },
  };
}

function stepOffsetsOf({ shards, rowOffsets, traceCount }: ShardFolder): Float64Array {
  const offsets = new Float64Array(traceCount + 1);
  let trace = 0;
  for (const [k, { stepOffsets }] of shards.entries()) {
    for (const offset of stepOffsets.subarray(1)) offsets[++trace] = rowOffsets[k]! + offset;
  }
  return offsets;
}

async function stepLabelsOf({ shards, rowOffsets, stepCount }: ShardFolder): Promise<Float32Array | undefined> {
  if (!shards.some(({ hasStepLabels }) => hasStepLabels)) return undefined;
  const labels = new Float32Array(stepCount).fill(NO_STEP_LABEL);
  for (const [k, shard] of shards.entries()) {
    if (shard.hasStepLabels) labels.set((await shard.stepLabels())!, rowOffsets[k]!);
  }
  return labels;
}

async function questionsOf({ shards, traceCount }: ShardFolder): Promise<TraceQuestions> {
  const numbers = new Uint32Array(traceCount);
  const numberOf = new Map<string, number>();
  let trace = 0;
  for (const shard of shards) {
    for (const question of await shard.text('question')) {
      const number = numberOf.get(question) ?? numberOf.size;
      numberOf.set(question, number);
      numbers[trace++] = number;
    }
  }
  return { numbers, texts: [...numberOf.keys()] };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function sharedBytes(length: number): SharedBytes {
  return new Uint8Array(new SharedArrayBuffer(length));
}

function checkPositive(options: Record<string, number>, where: string): void {
  for (const [name, value] of Object.entries(options)) {
    if (Number.isSafeInteger(value) && value > 0) continue;
    throw usageError('BAD_OPTION', `${name} is ${value}, not a positive whole number`, where);
  }
}

function usageError(code: string, what: string, where: string): ScorerError {
  return new ScorerError({ code, kind: 'usage', what, where });
}
