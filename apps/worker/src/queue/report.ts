import type { Job } from 'bullmq';
import type { Redis } from 'ioredis';
import type { ManifestShard, Run } from '../run/manifest.js';
import { listWorkers, type WorkerState } from './registry.js';
import {
  jobProgressSchema,
  linesOf,
  openQueue,
  PREFIX,
  queueName,
  type ShardJob,
  type ShardResult,
  shardJobSchema,
  shardResultSchema,
} from './run-queue.js';

/** How a run stands, in the queue's words. What the files say is `verify`'s business. */
export interface RunReport {
  run: string;
  /** `done`: every shard was made; `failed`: nothing is left to do, and shards were given up. */
  state: 'waiting' | 'running' | 'done' | 'failed';
  shards: { total: number; done: number; active: number; waiting: number; delayed: number; failed: number };
  /** Active shards whose worker has not renewed its lease: another takes them over soon. */
  stalled: number;
  tokens: { total: number; done: number };
  /** Of the workers that are alive, by what each has done so far. */
  tokens_per_second: number;
  seconds_left: number | null;
  /** Traces that could not be used, of the shards that are done. */
  failed_traces: number;
  /** Attempts beyond the first at a shard: after a failure, a killed worker, a lease that ran out. */
  repeats: number;
  failed_shards: { lines: string; reason: string; log: string[] }[];
  workers: (WorkerState & { alive: boolean })[];
}

/** What BullMQ calls a job that stalled more than the allowable limit. */
const DIED = '[WORKERS_DIED] its workers died or fell silent again and again: it may be what kills them';

type RunJob = Job<ShardJob, ShardResult>;

export async function reportRun(redis: Redis, { id, manifest }: Run): Promise<RunReport> {
  const queue = openQueue(id, redis);
  try {
    const [completed, active, failed, delayed, waiting] = await Promise.all([
      queue.getJobs(['completed']),
      queue.getJobs(['active']),
      queue.getJobs(['failed']),
      queue.getJobs(['delayed']),
      queue.getJobs(['wait']),
    ]);
    const workers = await listWorkers(redis, id);

    const shardOf = (job: RunJob): ManifestShard | undefined => {
      const data = shardJobSchema.safeParse(job.data);
      return data.success ? manifest.shards[data.data.shard] : undefined;
    };
    const tokensOf = (jobs: readonly RunJob[]): number => sum(jobs.map((job) => shardOf(job)?.tokens ?? 0));
    const total = sum(manifest.shards.map(({ tokens }) => tokens));
    const underWay = sum(active.map((job) => shareDone(job) * (shardOf(job)?.tokens ?? 0)));
    const left = tokensOf([...active, ...delayed, ...waiting]) - underWay;
    const rate = sum(workers.filter(({ alive }) => alive).map(({ tokens, seconds }) => tokens / Math.max(seconds, 1)));
    const open = active.length + delayed.length + waiting.length;

    return {
      run: id,
      state: stateOf({ open, active: active.length, failed: failed.length }),
      shards: {
        total: manifest.shards.length,
        // One that was there at submission has no job.
        done: manifest.shards.length - open - failed.length,
        active: active.length,
        waiting: waiting.length,
        delayed: delayed.length,
        failed: failed.length,
      },
      stalled: await countStalled(redis, id, active),
      tokens: { total, done: Math.round(total - left - tokensOf(failed)) },
      tokens_per_second: Math.round(rate),
      seconds_left: rate > 0 ? Math.round(left / rate) : null,
      failed_traces: sum(completed.map(failuresOf)),
      repeats: sum([...completed, ...active, ...failed, ...delayed, ...waiting].map(repeatsOf)),
      failed_shards: await Promise.all(
        failed.toSorted(byLines).map(async (job) => ({
          lines: linesOf(job.id!),
          reason: /stalled/.test(job.failedReason) ? DIED : job.failedReason,
          log: (await queue.getJobLogs(job.id!)).logs,
        })),
      ),
      workers,
    };
  } finally {
    await queue.close();
  }
}

function stateOf({ open, active, failed }: { open: number; active: number; failed: number }): RunReport['state'] {
  if (open === 0) return failed > 0 ? 'failed' : 'done';
  return active > 0 ? 'running' : 'waiting';
}

function byLines(a: RunJob, b: RunJob): number {
  return a.data.shard - b.data.shard;
}

function shareDone({ progress }: RunJob): number {
  const parsed = jobProgressSchema.safeParse(progress);
  return parsed.success && parsed.data.total > 0 ? Math.min(parsed.data.done / parsed.data.total, 1) : 0;
}

function failuresOf({ returnvalue }: RunJob): number {
  const parsed = shardResultSchema.safeParse(returnvalue);
  return parsed.success ? parsed.data.failures : 0;
}

function repeatsOf({ attemptsStarted }: RunJob): number {
  return Math.max(attemptsStarted - 1, 0);
}

async function countStalled(redis: Redis, run: string, active: readonly RunJob[]): Promise<number> {
  const locks = await Promise.all(active.map(({ id }) => redis.exists(`${PREFIX}:${queueName(run)}:${id}:lock`)));
  return locks.filter((exists) => exists === 0).length;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
