import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { ScorerError } from '@scorer/core/errors';
import { fileExists } from '@scorer/core/files';
import { type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { reportWorker, runFile, type WorkerState } from '../queue/registry.js';
import {
  linesOf,
  openJobCount,
  openQueue,
  PREFIX,
  queueName,
  type ShardJob,
  type ShardResult,
  shardJobSchema,
} from '../queue/run-queue.js';
import { type ManifestShard, type Run, shardPath } from '../run/manifest.js';
import { admit } from './admit.js';
import { newWorkerId } from './attempt.js';
import { keepDecoder } from './kept-decoder.js';
import { makeShard } from './make-shard.js';
import { outcomeOf, reasonOf, speaksOfMachine } from './outcome.js';
import type { WorkOptions } from './work.js';

/** What one worker did for one run. */
export interface ServedRun {
  run: string;
  /** `cancelled`: somebody took the run away, or Redis lost it. */
  ended: 'finished' | 'cancelled';
  /** Shards that this worker made, and those that it found made. */
  written: number;
  kept: number;
  failed: number;
  leases_lost: number;
  /** The longest time for which the event loop stood still: it must stay well below the lease. */
  longest_gap_ms: number;
}

const DEFAULT_LEASE_SECONDS = 60;
const DEFAULT_DRAIN_SECONDS = 20;
const DEFAULT_SHARD_FAILURES = 0.1;

/** How often a worker tells how it fares and looks whether the run has ended. */
const BEAT_MS = 500;
/** It counts as dead after as many beats without a word. */
const BEATS_TO_LIVE = 20;
const PROGRESS_MS = 2_000;
/** What a stopping worker gives an unreachable server before it leaves without a word. */
const GOODBYE_MS = 5_000;

/** A shard whose workers died so often is given up: it may be what kills them. */
const MAX_STALLS = 5;
/** A worker on which so many shards failed in a row is taken for the cause. */
const MAX_STRIKES = 3;

/**
 * Makes shards of one run until none is left, the worker is stopped, or it turns out to be unwell.
 * The shard in hand when it is stopped is finished within the drain time or else handed back, its traces kept.
 */
export async function serveRun(redis: Redis, run: Run, options: WorkOptions): Promise<ServedRun> {
  const { signal, leaseSeconds = DEFAULT_LEASE_SECONDS, drainSeconds = DEFAULT_DRAIN_SECONDS } = options;
  const worker = newWorkerId();
  const state: WorkerState = { name: options.name, state: 'working', shards: 0, tokens: 0, seconds: 0, leases_lost: 0 };
  const report = (): Promise<void> => reportWorker(redis, run.id, worker, state, BEATS_TO_LIVE * BEAT_MS);

  const { input, model, device } = await admit(redis, run, options).catch(async (error: unknown) => {
    const unwell = outcomeOf(error) === 'retry';
    Object.assign(state, { state: unwell ? 'unwell' : 'refused', reason: reasonOf(error) });
    await report();
    throw error;
  });

  const served = { written: 0, kept: 0, failed: 0 };
  const strikes = new Set<string>();
  const handBack = new AbortController();
  const decoder = keepDecoder();
  // Measured before the model is loaded: the decoder that is kept takes its part from the first shard on.
  const availableMemory = device === 'cpu' ? process.availableMemory() : undefined;
  const gaps = monitorEventLoopDelay({ resolution: 10 });
  gaps.enable();
  let madeTraces = 0;
  /** The shard in hand; aborted when another worker has finished it. */
  let current: { shard: ManifestShard; finished: AbortController } | undefined;

  /** One job: the shard it names is made; its end is told as BullMQ wants it. */
  async function take(
    job: Job<ShardJob, ShardResult>,
    token: string | undefined,
    lease: AbortSignal | undefined,
  ): Promise<ShardResult> {
    const finished = new AbortController();
    const signals = [finished.signal, handBack.signal, ...(lease ? [lease] : [])];
    const startedAt = performance.now();
    let done = 0;
    try {
      const shard = shardOf(job, run);
      current = { shard, finished };
      state.lines = linesOf(job.id!);
      const result = await makeShard({
        run,
        shard,
        worker,
        input,
        model,
        device,
        threads: options.threads,
        layerGroups: options.layerGroups,
        openDecoder: decoder.open,
        availableMemory,
        maxShardFailures: options.maxShardFailures ?? DEFAULT_SHARD_FAILURES,
        signal: AbortSignal.any(signals),
        onProgress: progressOf(job, (traces) => {
          done = traces;
          options.onProgress?.({ stage: `run ${run.id}`, done: madeTraces + done, unit: 'traces' });
        }),
        // What memory the first shard takes, and in how many groups, the others do too, or nearly so.
        onInfo: state.shards === 0 ? options.onInfo : undefined,
        onWarning: (message) => options.onWarning?.(message),
      });
      if (result.status === 'written') done = shard.records;
      served[result.status] += 1;
      state.shards += result.status === 'written' ? 1 : 0;
      strikes.clear();
      options.onInfo?.(`${job.id}: ${result.status}, ${result.traces} traces, ${result.steps} steps`);
      return result;
    } catch (error) {
      if (lease?.aborted) {
        state.leases_lost += 1;
        options.onWarning?.(`${job.id}: the lease ran out, another worker has it now`);
        throw error;
      }
      if (handBack.signal.aborted) {
        // Where it is gone, the run was cancelled or the lease lost: then there is nothing to hand back.
        await job.moveToWait(token).catch(() => {});
        options.onInfo?.(`${job.id}: handed back, its finished traces are kept`);
        throw new WaitingError();
      }
      served.failed += 1;
      // A runtime that failed once may be in no state to go on.
      await decoder.close();
      if (speaksOfMachine(error)) strikes.add(job.id!);
      const reason = `${options.name}: ${reasonOf(error)}`;
      options.onWarning?.(`${job.id}: ${reason}`);
      await job.log(reason);
      if (strikes.size >= MAX_STRIKES) {
        Object.assign(state, { state: 'unwell', reason });
        // Now, not at the next beat: until then it would spend the attempts of every other shard.
        void bull.close();
      }
      throw outcomeOf(error) === 'fail' ? new UnrecoverableError(reason) : new Error(reason);
    } finally {
      madeTraces += done;
      state.seconds += (performance.now() - startedAt) / 1000;
      if (current) state.tokens += Math.round((current.shard.tokens * done) / Math.max(current.shard.records, 1));
      current = undefined;
      delete state.lines;
    }
  }

  const queue = openQueue(run.id, redis);
  const bull = new Worker<ShardJob, ShardResult>(queueName(run.id), take, {
    connection: redis,
    prefix: PREFIX,
    name: options.name,
    concurrency: 1,
    lockDuration: leaseSeconds * 1000,
    stalledInterval: leaseSeconds * 500,
    maxStalledCount: MAX_STALLS,
  });
  bull.on('lockRenewalFailed', (jobs) => {
    for (const id of jobs) bull.cancelJob(id);
  });
  const onError = onceEach(options.onWarning);
  bull.on('error', onError);

  const stopped = aborted(signal);
  /** Beats until there is a reason to leave. */
  async function beat(): Promise<ServedRun['ended'] | 'stopped' | 'unwell'> {
    for (;;) {
      await sleep(BEAT_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return 'stopped';
      if (state.state === 'unwell') return 'unwell';
      if (current && (await fileExists(shardPath(run, current.shard)))) current.finished.abort();
      // Commands would wait for the server, and the signal with them.
      if (redis.status !== 'ready') continue;
      const ended = await Promise.race([look().catch(onError), stopped]);
      if (ended) return ended;
    }
  }

  async function look(): Promise<ServedRun['ended'] | undefined> {
    await report();
    if ((await runFile(redis, run.id)) === undefined) return 'cancelled';
    return (await openJobCount(queue)) === 0 ? 'finished' : undefined;
  }

  const ended = await beat();
  options.onInfo?.(`run ${run.id}: ${ended}`);
  if (ended === 'cancelled' || ended === 'unwell') handBack.abort();
  const closed = bull.close();
  await within(ended === 'stopped' ? drainSeconds * 1000 : GOODBYE_MS, closed);
  handBack.abort();
  // With the server away it would wait for its return.
  if (!(await within(GOODBYE_MS, closed))) void bull.disconnect().catch(() => {});
  await decoder.close();
  gaps.disable();

  if (state.state === 'working') state.state = ended === 'stopped' ? 'stopped' : 'left';
  if (ended !== 'cancelled' && redis.status === 'ready') await within(GOODBYE_MS, report());
  await within(GOODBYE_MS, queue.close());
  if (ended === 'stopped') throw signal.reason;
  if (ended === 'unwell') throw unwell(state.reason!);
  return {
    run: run.id,
    ended,
    ...served,
    leases_lost: state.leases_lost,
    longest_gap_ms: Math.round(gaps.max / 1e6),
  };
}

/** @throws ScorerError `BAD_JOB` */
function shardOf(job: Job<ShardJob>, { manifest }: Run): ManifestShard {
  const parsed = shardJobSchema.safeParse(job.data);
  const shard = parsed.success ? manifest.shards[parsed.data.shard] : undefined;
  if (shard) return shard;
  const what = 'the job names no shard of its run';
  throw new ScorerError({ code: 'BAD_JOB', what, where: `job ${job.id}`, hint: 'cancel the run and submit it again' });
}

/** Tells the queue how far a shard has come, now and then. */
function progressOf(
  job: Job<ShardJob>,
  onTraces: (traces: number) => void,
): (progress: { done: number; total?: number }) => void {
  let toldAt = 0;
  return ({ done, total = done }) => {
    onTraces(done);
    if (performance.now() - toldAt < PROGRESS_MS) return;
    toldAt = performance.now();
    // Only of interest while it is true: the next one follows.
    job.updateProgress({ done, total }).catch(() => {});
  };
}

/** A server that is away says so at every attempt to reach it. */
function onceEach(warn: ((message: string) => void) | undefined): (error: Error) => undefined {
  let last = '';
  return ({ message }) => {
    // What follows from a lost lease, which is told by itself.
    if (/^(could not renew lock|Missing (lock|key)) for job/.test(message)) return;
    if (message !== last) warn?.(message);
    last = message;
  };
}

/** Whether a promise is settled within a time. */
function within(milliseconds: number, promise: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), milliseconds);
    const settle = (): void => {
      clearTimeout(timer);
      resolve(true);
    };
    promise.then(settle, settle);
  });
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }));
}

function unwell(reason: string): ScorerError {
  return new ScorerError({
    code: 'WORKER_UNWELL',
    kind: 'retryable',
    what: `${MAX_STRIKES} shards in a row failed on this worker`,
    where: reason,
    hint: 'mend the machine, then start it again; the other workers go on',
  });
}
