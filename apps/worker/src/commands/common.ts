import { readFile } from 'node:fs/promises';
import { delimiter } from 'node:path';
import { onFile } from '@scorer/core/files';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { connectRedis } from '../queue/redis.js';
import { findRun } from '../queue/registry.js';
import { openRun, type Run } from '../run/manifest.js';
import { openRoots, type Roots } from '../run/roots.js';

/** The options of every command that asks Redis. */
export const redisOptions = {
  redis: { type: 'string', describe: 'redis://host:port, or rediss:// for TLS; default: REDIS_URL, or this machine' },
  'redis-password-file': { type: 'string', describe: 'File with the password; REDIS_PASSWORD works too' },
  'redis-ca': { type: 'string', describe: 'PEM file of the certificates to trust' },
  'redis-cert': { type: 'string', describe: 'PEM file of our certificate, where the server asks for one' },
  'redis-key': { type: 'string', describe: 'PEM file of its key' },
} as const;

export const redisSchema = {
  redis: z.string().optional(),
  redisPasswordFile: z.string().optional(),
  redisCa: z.string().optional(),
  redisCert: z.string().optional(),
  redisKey: z.string().optional(),
};

const DEFAULT_URL = 'redis://127.0.0.1:6379';

type RedisArguments = z.output<z.ZodObject<typeof redisSchema>>;

/** Connects, does something, and disconnects. */
export async function withRedis<Result>(
  { redis: url, redisPasswordFile, redisCa, redisCert, redisKey }: RedisArguments,
  use: (redis: Redis) => Promise<Result>,
): Promise<Result> {
  const fromFile = redisPasswordFile && (await onFile(redisPasswordFile, () => readFile(redisPasswordFile, 'utf8')));
  const redis = await connectRedis({
    url: url ?? (process.env.REDIS_URL || DEFAULT_URL),
    password: fromFile?.trim() ?? (process.env.REDIS_PASSWORD || undefined),
    caFile: redisCa,
    certFile: redisCert,
    keyFile: redisKey,
  });
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}

export const rootOptions = {
  root: {
    type: 'string',
    array: true,
    describe: 'Folder that may be read and written, with all that a run names inside; default: SCORER_ROOTS, or here',
  },
} as const;

export const rootSchema = { root: z.array(z.string().min(1)).optional() };

export function rootsOf({ root }: { root?: string[] | undefined }): Promise<Roots> {
  const fromEnvironment = process.env.SCORER_ROOTS?.split(delimiter).filter(Boolean) ?? [];
  return openRoots(root ?? (fromEnvironment.length > 0 ? fromEnvironment : ['.']));
}

export const runOption = {
  run: { type: 'string', describe: 'Id of the run, as submit gave it; not needed where there is only one' },
} as const;

export const runSchema = { run: z.string().min(1).optional() };

/** The run that the arguments name, read from its file. */
export async function namedRun(
  redis: Redis,
  args: { run?: string | undefined; root?: string[] | undefined },
): Promise<Run> {
  return openRun(await findRun(redis, args.run), await rootsOf(args));
}
