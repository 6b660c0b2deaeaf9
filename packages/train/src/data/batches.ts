import type { BatchRun, FeatureRows } from '../engine/engine.js';
import { type FeatureSource, rowSlice, sharedRows } from './features.js';
import type { MemoryPlan } from './memory.js';
import type { TrainingOrder } from './order.js';
import type { StepSet } from './split.js';

/** The rows of a set, kept in memory or read when they are used. */
export interface SetRows {
  readonly count: number;
  readonly width: number;
  readonly type: FeatureRows['type'];
  /** All rows in their own order, part by part, as often as one likes. A part is valid until the next one. */
  inOrder(): AsyncGenerator<FeatureRows>;
  /** Rows at the positions that come, part by part. A part is valid until the next one. */
  at(parts: Iterable<Uint32Array>): AsyncGenerator<PartOfRows>;
  /** Gives up the memory; the rows are read again when they are next asked for. */
  release(): void;
}

interface PartOfRows {
  /** Positions in the set. */
  readonly positions: Uint32Array;
  /** Copies the rows at positions[from … to] to `target`, which has room for just these. */
  copy(from: number, to: number, target: FeatureRows): void;
}

/**
 * The rows of a set, read by `source`; nothing is read before it is asked for.
 * @param spares memory to read to, for sets that are used one after the other
 */
export function rowsOfSet(
  source: FeatureSource,
  { rows }: StepSet,
  memory: Pick<MemoryPlan, 'isResident' | 'windowRows' | 'partRows'>,
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
    type: source.rowType,
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
          yield {
            positions,
            copy: (from, to, target) => gatherRows(resident, width, positions.subarray(from, to), target),
          };
        }
        return;
      }
      for await (const { positions, rows: window } of windows(parts)) {
        yield { positions, copy: (from, to, target) => target.data.set(rowSlice(window, width, from, to).data) };
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

/**
 * @param runRows rows of a run, whole batches; the last runs of an epoch are the whole batches that are left, and a short
 * one
 * @param questions [rows of the set]: handed on as the groups of a run, where the loss compares rows of a question
 */
export function trainingBatches(
  rows: SetRows,
  { targets }: StepSet,
  {
    order,
    batchSize,
    runRows,
    questions,
  }: { order: TrainingOrder; batchSize: number; runRows: number; questions?: Uint32Array | undefined },
): TrainingBatches {
  const { rowsPerEpoch } = order;
  const inWholeBatches = rowsPerEpoch - (rowsPerEpoch % batchSize);
  return {
    rowsPerEpoch,
    batchesPerEpoch: Math.ceil(rowsPerEpoch / batchSize),
    async *epoch(epoch) {
      let done = 0;
      let open: OpenRun | undefined;
      for await (const part of rows.at(order.epoch(epoch))) {
        for (let from = 0; from < part.positions.length; ) {
          open ??= openRun(Math.min(runRows, (done < inWholeBatches ? inWholeBatches : rowsPerEpoch) - done));
          from = open.take(part, from);
          const run = open.whole();
          if (!run) continue;
          done += run.rows.count;
          open = undefined;
          yield run;
        }
      }
    },
  };

  function openRun(count: number): OpenRun {
    const positions = new Uint32Array(count);
    const room = ownRows(rows.type, count, rows.width);
    let filled = 0;
    return {
      take(part, from) {
        const to = Math.min(from + count - filled, part.positions.length);
        const end = filled + to - from;
        positions.set(part.positions.subarray(from, to), filled);
        part.copy(from, to, rowSlice(room, rows.width, filled, end));
        filled = end;
        return to;
      },
      whole: () => (filled < count ? undefined : runOf(positions, room)),
    };
  }

  function runOf(positions: Uint32Array, ofRun: FeatureRows): BatchRun {
    return {
      batchSize: Math.min(batchSize, positions.length),
      rows: ofRun,
      labels: Float32Array.from(positions, (position) => targets[position]!),
      ...(questions && { groups: Int32Array.from(positions, (position) => questions[position]!) }),
    };
  }
}

/** A run that is being filled from parts: where parts end does not show in it. */
interface OpenRun {
  /** Takes what it has room for of the part's rows from `from` on. Returns where the part goes on. */
  take(part: PartOfRows, from: number): number;
  /** The run, when its last row is in. */
  whole(): BatchRun | undefined;
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

/** Room for [count, width] that can go to an engine for good. */
function ownRows(type: FeatureRows['type'], count: number, width: number): FeatureRows {
  const size = count * width;
  return type === 'float16'
    ? { type, count, data: new Uint16Array(size) }
    : { type, count, data: new Float32Array(size) };
}

function gatherRows(rows: FeatureRows, width: number, order: Uint32Array, target: FeatureRows): void {
  for (let i = 0; i < order.length; i++) {
    const from = order[i]! * width;
    target.data.set(rows.data.subarray(from, from + width), i * width);
  }
}
