import type { Redis } from 'ioredis';
import type { Run } from '../run/manifest.js';
import { missingShards } from '../run/shard-file.js';
import { forgetRun } from './registry.js';
import { addShards, DEFAULT_RETRIES, openQueue, type RetryOptions } from './run-queue.js';

/**
 * Gives the shards that were given up all their attempts again, and those whose files have gone since.
 * @returns how many are in the queue anew
 */
export async function retryRun(redis: Redis, run: Run, retries: RetryOptions = DEFAULT_RETRIES): Promise<number> {
  const queue = openQueue(run.id, redis);
  try {
    // Removed and put in anew: a job that is only moved back keeps its count of stalls.
    const ended = await queue.getJobs(['failed', 'completed']);
    const missing = await missingShards(run);
    const numbers = new Set(missing.map(({ index }) => index));
    const again = ended.filter(({ data }) => numbers.has(data.shard));
    for (const job of again) await job.remove();
    await addShards(queue, missing, retries);
    return again.length;
  } finally {
    await queue.close();
  }
}

/** Takes a run out of the queue: its workers stop within seconds. What has been made, also of unfinished shards, stays. */
export async function cancelRun(redis: Redis, run: string): Promise<void> {
  await forgetRun(redis, run);
  const queue = openQueue(run, redis);
  try {
    await queue.obliterate({ force: true });
  } finally {
    await queue.close();
  }
}
