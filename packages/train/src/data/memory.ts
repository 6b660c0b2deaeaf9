import { ScorerError } from '@scorer/core/errors';
import { type NetworkShape, parameterShapes } from '../engine/network.js';

/** How the hidden states of a run share its memory. */
export interface MemoryPlan {
  /** All rows are read once and kept. Otherwise they are read again in every epoch, a window at a time. */
  readonly isResident: boolean;
  /** Rows of a window, whole batches; one is in use while the next one is read. */
  readonly windowRows: number;
  /** Rows that the engine is given at a time, whole batches. */
  readonly runRows: number;
  /** The same where a call of the engine costs much however little it takes. */
  readonly longRunRows: number;
  /**
   * Rows that are scored together. Whatever memory there is, they are the same ones: the last digits of a row's score can
   * depend on the rows beside it.
   */
  readonly partRows: number;
}

/**
 * What one call of the engine takes: enough for its overhead to vanish, little enough to copy and to stop soon. Four times
 * as much would save 0 to 6 % of processor time for 20 to 60 MB.
 */
const RUN_BYTES = 16 * 1024 ** 2;
const MAX_BATCHES_PER_RUN = 64;

/**
 * The same where the whole state goes to the device and back with every call, as on CUDA. Chosen by arithmetic, not
 * measured: parameters and Adam's sums for rows of 4,096 numbers are 25 MB, so 50 MB travel beside the rows, three times as
 * many as 16 MiB of these. Beside 256 MiB they are a fifth; at 10 GB/s their 5 ms stand beside 27 ms for the rows and, in
 * batches of 128 at about 80 kernels of 5 µs, 100 ms of computing.
 */
const LONG_RUN_BYTES = 256 * 1024 ** 2;
const MAX_BATCHES_PER_LONG_RUN = 256;

/**
 * Of rows that are read again and again, copies pile up on their way through threads and as garbage that is not
 * collected yet. Small windows and runs keep these few, and read as fast as large ones.
 */
const WINDOW_BYTES = 8 * 1024 ** 2;
const STREAMED_RUN_BYTES = 4 * 1024 ** 2;

/** Windows and runs take no more than these shares of the memory, the two windows together twice the first. */
const WINDOW_SHARE = 1 / 8;
const RUN_SHARE = 1 / 16;

/**
 * Peak of a process that trains, however little it holds of hidden states: Node, ONNX Runtime, the threads that read, the
 * plots; and so many copies of the parameters (state, gradients, temporaries of Adam, what goes between threads).
 * Measured on a CPU for 0 to 10 MB of parameters by bench/train-memory.mjs: docs/training.md.
 */
const PROCESS_BYTES = 265e6;
const PARAMETER_COPIES = 27;

/** What a process takes beside its budget where the budget decides. */
const BESIDE_BUDGET = 200e6;

/** Core's plan of reads counts up to twice as many. */
const MAX_WINDOW_ROWS = 2 ** 20;

/**
 * Divides `memoryBytes` among the rows that are kept, or read ahead, and the runs made of them.
 * @param rows of training and validation together
 * @throws ScorerError `MEMORY_TOO_SMALL` (usage)
 */
export function planMemory({
  memoryBytes,
  rowBytes,
  batchSize,
  rows,
}: {
  memoryBytes: number;
  rowBytes: number;
  batchSize: number;
  rows: number;
}): MemoryPlan {
  const batchBytes = batchSize * rowBytes;
  const wholeBatches = (bytes: number): number => Math.floor(bytes / batchBytes);
  const windowBatches = wholeBatches(Math.min(WINDOW_BYTES, memoryBytes * WINDOW_SHARE, MAX_WINDOW_ROWS * rowBytes));
  // A window can't be smaller than a batch, however large that is.
  if (memoryBytes * WINDOW_SHARE < batchBytes) {
    throw new ScorerError({
      code: 'MEMORY_TOO_SMALL',
      kind: 'usage',
      what: `${memoryBytes} bytes for hidden states; batches of ${batchSize} rows take ${batchBytes / WINDOW_SHARE} at least`,
      where: '--memory',
      hint: 'allow more, or use smaller batches',
    });
  }
  const isResident = rows * rowBytes <= memoryBytes * (1 - RUN_SHARE);
  const runRows = (bytes: number, maxBatches: number): number =>
    batchSize * Math.max(1, Math.min(wholeBatches(bytes), maxBatches));
  const runShare = memoryBytes * RUN_SHARE;
  // One long run is computed while the next one is put together: both have room in what is left beside the rows.
  const leftForRun = isResident ? (memoryBytes - rows * rowBytes) / 2 : 0;
  return {
    isResident,
    windowRows: batchSize * Math.max(1, windowBatches),
    runRows: runRows(Math.min(isResident ? RUN_BYTES : STREAMED_RUN_BYTES, runShare), MAX_BATCHES_PER_RUN),
    longRunRows: runRows(Math.min(LONG_RUN_BYTES, Math.max(runShare, leftForRun)), MAX_BATCHES_PER_LONG_RUN),
    partRows: batchSize,
  };
}

/** Says how large the process gets all the same, where `memoryBytes` is less than could make it smaller. */
export function memoryWarning(memoryBytes: number, network: NetworkShape): string | undefined {
  const parameters = Object.values(parameterShapes(network)).map((shape) => shape.reduce((size, n) => size * n, 1));
  const parameterBytes = 4 * parameters.reduce((sum, size) => sum + size, 0);
  const processBytes = PROCESS_BYTES + PARAMETER_COPIES * parameterBytes;
  const leastUseful = processBytes - BESIDE_BUDGET;
  if (memoryBytes >= leastUseful) return undefined;
  const [given, least, all] = [memoryBytes, leastUseful, processBytes].map((bytes) => `${Math.round(bytes / 1e6)} MB`);
  return (
    `--memory ${given} is for hidden states alone: with Node, the runtime and this network the process takes about ` +
    `${all}, and a --memory below ${least} makes it no smaller`
  );
}
