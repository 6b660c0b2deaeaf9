import { type JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import type { ManifestShard } from '../run/manifest.js';

/** All keys of this program in Redis begin with it. */
export const PREFIX = 'scorer';

/** A job names a shard of its run by number. All else is read from the run file, since anyone may write to Redis. */
export const shardJobSchema = z.strictObject({ shard: z.number().int().nonnegative() });
export type ShardJob = z.output<typeof shardJobSchema>;

/** How far a job has come, for `status`. */
export const jobProgressSchema = z.object({ done: z.number(), total: z.number() });

/** What a job leaves behind. */
export const shardResultSchema = z.object({
  traces: z.number(),
  steps: z.number(),
  failures: z.number(),
  /** `kept`: the file was there, of an earlier attempt or another worker. */
  status: z.enum(['written', 'kept']),
});
export type ShardResult = z.output<typeof shardResultSchema>;

export type RunQueue = Queue<ShardJob, ShardResult>;

/** A queue of its own for each run, so that its state is told by counting and ended by removing it. */
export function queueName(runId: string): string {
  return `run-${runId}`;
}

export function openQueue(runId: string, connection: Redis): RunQueue {
  const queue: RunQueue = new Queue<ShardJob, ShardResult>(queueName(runId), { connection, prefix: PREFIX });
  // Of the connection; a command that fails says so by itself. Without a listener they would be printed.
  queue.on('error', () => {});
  return queue;
}

export interface RetryOptions {
  /** How often a shard is tried before it is given up. */
  attempts: number;
  /** Wait before the second attempt; doubles with each. */
  backoffMs: number;
}

export const DEFAULT_RETRIES: RetryOptions = { attempts: 5, backoffMs: 5_000 };

/** Ten thousand jobs at once keep Redis busy for about a second. */
const JOBS_A_CALL = 1_000;

/**
 * Puts shards into the queue; one that is in it already, in whatever state, is left alone.
 * @returns how many were not
 */
export async function addShards(
  queue: RunQueue,
  shards: readonly { index: number; shard: ManifestShard }[],
  { attempts, backoffMs }: RetryOptions,
): Promise<void> {
  const options: JobsOptions = {
    attempts,
    // Workers that failed together should not come back together.
    backoff: { type: 'exponential', delay: backoffMs, jitter: 0.5 },
  };
  for (let first = 0; first < shards.length; first += JOBS_A_CALL) {
    await queue.addBulk(
      shards.slice(first, first + JOBS_A_CALL).map(({ index, shard }) => ({
        name: 'shard',
        data: { shard: index },
        opts: { ...options, jobId: jobIdOf(shard) },
      })),
    );
  }
}

export function jobIdOf({ start, end }: Pick<ManifestShard, 'start' | 'end'>): string {
  return `lines-${start}-${end}`;
}

/** The lines of a job, for people: `500-600`. */
export function linesOf(jobId: string): string {
  return jobId.replace(/^lines-/, '');
}

/** Jobs that are not finished, neither well nor badly. */
export async function openJobCount(queue: RunQueue): Promise<number> {
  const counts = await queue.getJobCounts('wait', 'active', 'delayed', 'prioritized');
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
