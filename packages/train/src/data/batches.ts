import type { BatchRun, FeatureRows } from '../engine/engine.js';
import { type FeatureSource, rowSlice, sharedRows } from './features.js';
import type { MemoryPlan } from './memory.js';
import type { TrainingOrder } from './order.js';
import type { StepSet } from './split.js';

/** The rows of a set, kept in memory or read when they are used. */
export interface SetRows {
  readonly count: number;
  readonly width: number;
  /** All rows in their own order, part by part, as often as one likes. A part is valid until the next one. */
  inOrder(): AsyncGenerator<FeatureRows>;
  /** Rows at the positions that come, part by part. `copy` gives some of a part in memory of their own. */
  at(parts: Iterable<Uint32Array>): AsyncGenerator<PartOfRows>;
  /** Gives up the memory; the rows are read again when they are next asked for. */
  release(): void;
}

interface PartOfRows {
  /** Positions in the set. */
  readonly positions: Uint32Array;
  /** The rows at positions[from … to]. */
  copy(from: number, to: number): FeatureRows;
}

/**
 * The rows of a set, read by `source`; nothing is read before it is asked for.
 * @param spares memory to read to, for sets that are used one after the other
 */
export function rowsOfSet(
  source: FeatureSource,
  { rows }: StepSet,
  memory: MemoryPlan,
  spares: FeatureRows[] = [],
): SetRows {
  const { width } = source;
  const rowsAt = (positions: Uint32Array): Uint32Array => positions.map((position) => rows[position]!);
  const readWindow = async (positions: Uint32Array): Promise<Window> => {
    const room = spares.pop() ?? sharedRows(source.rowType, memory.windowRows, width);
    return { positions, room, rows: await source.read(rowsAt(positions), room) };
  };
  const windows = (parts: Iterable<Uint32Array>): AsyncGenerator<Window> =>
    oneAhead(piecesOf(parts, memory.windowRows), readWindow, ({ room }) => spares.push(room));

  let kept: Promise<FeatureRows> | undefined;
  const keepAll = async (): Promise<FeatureRows> => {
    const all = sharedRows(source.rowType, rows.length, width);
    for (const { from, to } of spans(rows.length, memory.windowRows)) {
      await source.read(rows.subarray(from, to), rowSlice(all, width, from, to));
    }
    return all;
  };
  const all = (): Promise<FeatureRows> => {
    kept ??= keepAll();
    return kept;
  };

  return {
    count: rows.length,
    width,
    async *inOrder() {
      if (memory.isResident) {
        const resident = await all();
        for (const { from, to } of spans(rows.length, memory.partRows)) yield rowSlice(resident, width, from, to);
        return;
      }
      for await (const { rows: window } of windows([ascending(rows.length)])) {
        for (const { from, to } of spans(window.count, memory.partRows)) yield rowSlice(window, width, from, to);
      }
    },
    async *at(parts) {
      if (memory.isResident) {
        const resident = await all();
        for (const positions of parts) {
          yield { positions, copy: (from, to) => gatherRows(resident, width, positions.subarray(from, to)) };
        }
        return;
      }
      for await (const { positions, rows: window } of windows(parts)) {
        yield { positions, copy: (from, to) => ownCopy(rowSlice(window, width, from, to)) };
      }
    },
    release() {
      kept = undefined;
      spares.length = 0;
    },
  };
}

export interface TrainingBatches {
  /**
   * One epoch's rows as runs of batches. The last batch may be short.
   * @param epoch from 1
   */
  epoch(epoch: number): AsyncGenerator<BatchRun>;
  readonly rowsPerEpoch: number;
  readonly batchesPerEpoch: number;
}

/** @param questions [rows of the set]: handed on as the groups of a run, where the loss compares rows of a question */
export function trainingBatches(
  rows: SetRows,
  { targets }: StepSet,
  {
    order,
    batchSize,
    memory,
    questions,
  }: { order: TrainingOrder; batchSize: number; memory: MemoryPlan; questions?: Uint32Array | undefined },
): TrainingBatches {
  return {
    rowsPerEpoch: order.rowsPerEpoch,
    // An order's parts are whole batches but for the last one.
    batchesPerEpoch: Math.ceil(order.rowsPerEpoch / batchSize),
    async *epoch(epoch) {
      for await (const part of rows.at(order.epoch(epoch))) {
        const whole = part.positions.length - (part.positions.length % batchSize);
        for (let from = 0; from < whole; from += memory.runRows) {
          yield run(part, from, Math.min(from + memory.runRows, whole), batchSize);
        }
        const rest = part.positions.length - whole;
        if (rest > 0) yield run(part, whole, part.positions.length, rest);
      }
    },
  };

  function run(part: PartOfRows, from: number, to: number, size: number): BatchRun {
    const positions = part.positions.subarray(from, to);
    return {
      batchSize: size,
      rows: part.copy(from, to),
      labels: Float32Array.from(positions, (position) => targets[position]!),
      ...(questions && { groups: Int32Array.from(positions, (position) => questions[position]!) }),
    };
  }
}

interface Window {
  readonly positions: Uint32Array;
  readonly rows: FeatureRows;
  /** The memory that the rows lie in, which the next window can have. */
  readonly room: FeatureRows;
}

/** The parts, those that are too long in pieces. */
function* piecesOf(parts: Iterable<Uint32Array>, size: number): Generator<Uint32Array> {
  for (const part of parts) {
    for (const { from, to } of spans(part.length, size)) yield part.subarray(from, to);
  }
}

function* spans(length: number, size: number): Generator<{ from: number; to: number }> {
  for (let from = 0; from < length; from += size) yield { from, to: Math.min(from + size, length) };
}

/** Loads each item while the one before it is in use, and releases it after that. */
async function* oneAhead<Item, Loaded>(
  items: Iterable<Item>,
  load: (item: Item) => Promise<Loaded>,
  release: (loaded: Loaded) => void,
): AsyncGenerator<Loaded> {
  let ahead: Promise<Loaded> | undefined;
  const use = async function* (loading: Promise<Loaded>) {
    const loaded = await loading;
    yield loaded;
    release(loaded);
  };
  for (const item of items) {
    const loading = load(item);
    // Its failure is thrown when its turn comes.
    loading.catch(() => {});
    if (ahead) yield* use(ahead);
    ahead = loading;
  }
  if (ahead) yield* use(ahead);
}

function ascending(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}

function ownCopy(rows: FeatureRows): FeatureRows {
  return rows.type === 'float16' ? { ...rows, data: rows.data.slice() } : { ...rows, data: rows.data.slice() };
}

function gatherRows(rows: FeatureRows, width: number, order: Uint32Array): FeatureRows {
  const count = order.length;
  const gathered: FeatureRows =
    rows.type === 'float16'
      ? { type: rows.type, count, data: new Uint16Array(count * width) }
      : { type: rows.type, count, data: new Float32Array(count * width) };
  for (let i = 0; i < count; i++) {
    const from = order[i]! * width;
    gathered.data.set(rows.data.subarray(from, from + width), i * width);
  }
  return gathered;
}
