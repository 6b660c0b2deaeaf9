import { ScorerError } from '@scorer/core/errors';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { PREFIX } from './run-queue.js';

/**
 * What Redis knows of the runs beside their queues: where the run file lies, what kind of machine they run on, and
 * which workers have come and how they fare.
 *
 *     scorer:runs                    sorted set of run ids by the time of submission
 *     scorer:info:<run>              hash: file, profile, worker:<worker>
 *     scorer:alive:<run>:<worker>    stands for as long as the worker renews it
 */

/** What the bytes of a shard depend on beside model, input and settings. */
const profileSchema = z.object({
  model: z.string(),
  device: z.string(),
  /** Processor or GPU. */
  processor: z.string(),
  runtime: z.string(),
  threads: z.number(),
});
export type Profile = z.output<typeof profileSchema>;

const workerStateSchema = z.object({
  name: z.string(),
  state: z.enum(['working', 'refused', 'stopped', 'unwell', 'left']),
  /** Why it was refused or is unwell. */
  reason: z.string().optional(),
  /** Lines of the shard in hand. */
  lines: z.string().optional(),
  /** Shards made. */
  shards: z.number(),
  /** Tokens computed for this run, and the seconds that this took. */
  tokens: z.number(),
  seconds: z.number(),
  /** Shards that were taken from it because it had not renewed its lease: it was frozen, or cut off. */
  leases_lost: z.number(),
});
export type WorkerState = z.output<typeof workerStateSchema>;

const RUNS = `${PREFIX}:runs`;
const infoKey = (run: string): string => `${PREFIX}:info:${run}`;
const aliveKey = (run: string, worker: string): string => `${PREFIX}:alive:${run}:${worker}`;

export async function registerRun(redis: Redis, run: string, file: string): Promise<void> {
  await redis.multi().zadd(RUNS, 'NX', String(Date.now()), run).hset(infoKey(run), 'file', file).exec();
}

/** Ids in the order of submission. */
export async function listRuns(redis: Redis): Promise<string[]> {
  return redis.zrange(RUNS, '0', '-1');
}

/** Path of the run's file relative to a root; undefined where the run is not known (any more). */
export async function runFile(redis: Redis, run: string): Promise<string | undefined> {
  return (await redis.hget(infoKey(run), 'file')) ?? undefined;
}

/**
 * The run that a command is about: the one named, or the only one there is.
 * @throws ScorerError `RUN_NOT_FOUND`, `RUN_NOT_NAMED` (usage)
 */
export async function findRun(redis: Redis, wish: string | undefined): Promise<{ id: string; file: string }> {
  const runs = await listRuns(redis);
  const id = wish ?? (runs.length === 1 ? runs[0] : undefined);
  const file = id === undefined ? undefined : await runFile(redis, id);
  if (id !== undefined && file !== undefined) return { id, file };
  const known = runs.length === 0 ? 'there is none: submit one' : `known are ${runs.join(', ')}`;
  if (wish !== undefined || runs.length === 0) {
    const what = wish === undefined ? 'no run' : `no run ${wish}`;
    throw new ScorerError({ code: 'RUN_NOT_FOUND', kind: 'usage', what, where: '--run', hint: known });
  }
  throw new ScorerError({ code: 'RUN_NOT_NAMED', kind: 'usage', what: 'which run?', where: '--run', hint: known });
}

/** The kind of machine that a run is on: that of the first worker to ask. */
export async function settleProfile(redis: Redis, run: string, own: Profile): Promise<Profile> {
  await redis.hsetnx(infoKey(run), 'profile', JSON.stringify(own));
  return profileSchema.parse(JSON.parse((await redis.hget(infoKey(run), 'profile')) ?? '{}'));
}

/** @param aliveMs how long the worker counts as alive without another call */
export async function reportWorker(
  redis: Redis,
  run: string,
  worker: string,
  state: WorkerState,
  aliveMs: number,
): Promise<void> {
  const report = redis.multi().hset(infoKey(run), `worker:${worker}`, JSON.stringify(state));
  if (state.state === 'working') report.set(aliveKey(run, worker), '1', 'PX', aliveMs);
  else report.del(aliveKey(run, worker));
  await report.exec();
}

export async function listWorkers(redis: Redis, run: string): Promise<(WorkerState & { alive: boolean })[]> {
  const fields = Object.entries(await redis.hgetall(infoKey(run))).filter(([field]) => field.startsWith('worker:'));
  return Promise.all(
    fields.map(async ([field, text]) => ({
      ...workerStateSchema.parse(JSON.parse(text)),
      alive: (await redis.exists(aliveKey(run, field.slice('worker:'.length)))) === 1,
    })),
  );
}

export async function forgetRun(redis: Redis, run: string): Promise<void> {
  await redis.multi().zrem(RUNS, run).del(infoKey(run)).exec();
}
