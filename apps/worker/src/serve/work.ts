import { setTimeout as sleep } from 'node:timers/promises';
import type { OnProgress } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import type { DeviceWish } from '@scorer/core/onnx';
import type { LayerGroupCount } from '@scorer/hidden-states';
import type { Redis } from 'ioredis';
import { findRun, listRuns, runFile } from '../queue/registry.js';
import { openJobCount, openQueue } from '../queue/run-queue.js';
import { openRun, type Run } from '../run/manifest.js';
import type { Roots } from '../run/roots.js';
import type { Mixable } from './profile.js';
import { type ServedRun, serveRun } from './serve-run.js';

export interface WorkOptions {
  roots: Roots;
  /** Serves this run alone; by default all of them, in the order of their submission. */
  run?: string | undefined;
  /** Stays when nothing is left to do, and waits for the next run. */
  stay?: boolean;
  /** For people: stands in `status` and in the reasons of failures. */
  name: string;
  /** Folder of this machine's copy of the model; by default the one that was submitted. */
  model?: string | undefined;
  /** By default what was submitted. */
  device?: DeviceWish | undefined;
  threads?: number | undefined;
  /** Groups of layers, one of which is in memory at a time, as `extract` takes them; 1 by default. */
  layerGroups?: LayerGroupCount | undefined;
  /** In what this worker may differ from the run's first one. */
  allowMixed?: readonly Mixable[];
  /** A worker that does not renew its lease for so long has lost its shard to another. */
  leaseSeconds?: number;
  /** How long a stopped worker goes on with its shard before it hands it back. */
  drainSeconds?: number;
  /** Share of a shard's traces that may fail. */
  maxShardFailures?: number;
  signal: AbortSignal;
  onProgress?: OnProgress | undefined;
  onInfo?: ((message: string) => void) | undefined;
  onWarning?: ((message: string) => void) | undefined;
}

/** How often a worker without work looks for a run. */
const IDLE_MS = 5_000;

/**
 * Takes shards from the queue and makes them, one at a time, until none is left in a run.
 * @returns what was done for each run
 * @throws ScorerError `WORKER_DIFFERS`; `WORKER_UNWELL` (retryable) where one shard after the other failed here;
 * `RUN_NOT_FOUND` (usage); the signal's reason after a clean stop
 */
export async function work(redis: Redis, options: WorkOptions): Promise<ServedRun[]> {
  const served: ServedRun[] = [];
  /** Runs that this worker is not fit for. */
  const refused = new Set<string>();
  for (;;) {
    options.signal.throwIfAborted();
    const run = await nextRun(redis, options, refused);
    if (run) {
      try {
        served.push(await serveRun(redis, run, options));
      } catch (error) {
        const unfit = error instanceof ScorerError && error.code === 'WORKER_DIFFERS';
        if (!unfit || !options.stay) throw error;
        options.onWarning?.(`run ${run.id}: ${error.message}`);
        refused.add(run.id);
      }
    } else if (options.stay) {
      await sleep(IDLE_MS, undefined, { signal: options.signal });
    } else {
      return served;
    }
  }
}

/** The first run with shards to be made. */
async function nextRun(
  redis: Redis,
  { run: wish, roots }: WorkOptions,
  refused: ReadonlySet<string>,
): Promise<Run | undefined> {
  const ids = wish === undefined ? await listRuns(redis) : [(await findRun(redis, wish)).id];
  for (const id of ids) {
    if (refused.has(id)) continue;
    const queue = openQueue(id, redis);
    const isOpen = (await openJobCount(queue)) > 0;
    await queue.close();
    const file = isOpen ? await runFile(redis, id) : undefined;
    if (file === undefined) continue;
    return openRun({ id, file }, roots);
  }
  return undefined;
}
