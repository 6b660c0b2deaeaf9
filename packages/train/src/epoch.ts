import type { BatchRun, Engine, FeatureRows } from './engine/engine.js';

export interface EpochHooks {
  signal?: AbortSignal | undefined;
  /** Called with the number of rows after every few batches. */
  onRows(rows: number): void;
}

/** One pass over the training rows. Returns the mean of the batches' losses. */
export async function trainEpoch(
  engine: Pick<Engine, 'trainBatches'>,
  runs: AsyncIterable<BatchRun>,
  { signal, onRows }: EpochHooks,
): Promise<number> {
  let sum = 0;
  let batches = 0;
  // The next run is put together while the engine is at work on this one.
  let atWork: Promise<void> | undefined;
  for await (const run of runs) {
    await atWork;
    signal?.throwIfAborted();
    atWork = engine.trainBatches(run).then((losses) => {
      for (const loss of losses) sum += loss;
      batches += losses.length;
      onRows(run.labels.length);
    });
    // Its failure is thrown when it is awaited.
    atWork.catch(() => {});
  }
  await atWork;
  return sum / batches;
}

/** The scores of all rows of a set that come in parts, [count]. */
export async function scoreAll(
  score: (rows: FeatureRows) => Promise<Float32Array>,
  parts: AsyncIterable<FeatureRows>,
  { count, signal }: { count: number; signal?: AbortSignal | undefined },
): Promise<Float32Array> {
  const scores = new Float32Array(count);
  let at = 0;
  for await (const rows of parts) {
    signal?.throwIfAborted();
    scores.set(await score(rows), at);
    at += rows.count;
  }
  return scores;
}
