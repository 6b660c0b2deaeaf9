import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import { ScorerError } from '@scorer/core/errors';
import { onFile } from '@scorer/core/files';
import { Redis } from 'ioredis';

export interface RedisOptions {
  /** `redis://[user:password@]host[:port][/db]`, or `rediss://` for TLS. */
  url: string;
  /** Takes the place of a password in the URL, which every user of the machine can read in a list of processes. */
  password?: string | undefined;
  /** PEM files: whom to trust, and who we are where the server asks. */
  caFile?: string | undefined;
  certFile?: string | undefined;
  keyFile?: string | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** A server that restarts is asked again at these intervals, for as long as it takes. */
const RECONNECT_MS = { first: 100, most: 5_000 };

/**
 * Connects to Redis or Valkey. Once connected, commands wait through an outage of the server instead of failing.
 * @throws ScorerError `REDIS_URL_INVALID`, `REDIS_REFUSED` (usage): password, TLS; `REDIS_UNREACHABLE` (retryable)
 */
export async function connectRedis(options: RedisOptions): Promise<Redis> {
  const url = parseUrl(options.url);
  const where = `${url.protocol}//${url.host}`;
  const client = new Redis(options.url, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // What BullMQ asks for: its commands must outlast a restart of the server.
    maxRetriesPerRequest: null,
    // The first connection is tried once: a wrong address should be told, not waited for.
    retryStrategy: null,
    ...(options.password !== undefined && { password: options.password }),
    ...(url.protocol === 'rediss:' && { tls: await tlsOptions(options) }),
  });
  // `connect` rejects with "Connection is closed"; the reason comes as an event.
  let reason: Error | undefined;
  client.on('error', (error: Error) => {
    reason ??= error;
  });
  try {
    await client.connect();
    await client.ping();
  } catch (error) {
    client.disconnect();
    throw connectError(reason ?? error, where);
  }
  client.options.retryStrategy = (times: number) => Math.min(RECONNECT_MS.first * 2 ** times, RECONNECT_MS.most);
  return client;
}

async function tlsOptions({ caFile, certFile, keyFile }: RedisOptions): Promise<ConnectionOptions> {
  const read = (file: string | undefined) => file && onFile(file, () => readFile(file));
  const [ca, cert, key] = await Promise.all([read(caFile), read(certFile), read(keyFile)]);
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && (url.protocol === 'redis:' || url.protocol === 'rediss:') && url.hostname !== '') return url;
  throw new ScorerError({
    code: 'REDIS_URL_INVALID',
    kind: 'usage',
    what: 'not the address of a Redis server',
    where: '--redis or REDIS_URL',
    hint: 'give redis://host:6379, or rediss://host:6379 for TLS',
  });
}

function connectError(error: unknown, where: string): ScorerError {
  const what = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (/NOAUTH|WRONGPASS|NOPERM|invalid password/i.test(what)) {
    const hint = 'give the password by REDIS_PASSWORD or --redis-password-file';
    return new ScorerError({ code: 'REDIS_REFUSED', kind: 'usage', what, where, hint, cause: error });
  }
  if (/CERT|SIGNATURE|SELF_SIGNED|SSL|ERR_TLS/i.test(code)) {
    const hint = 'give the certificate to trust by --redis-ca';
    return new ScorerError({ code: 'REDIS_REFUSED', kind: 'usage', what, where, hint, cause: error });
  }
  return new ScorerError({
    code: 'REDIS_UNREACHABLE',
    kind: 'retryable',
    what: what || code,
    where,
    hint: 'check that the server runs and its address',
    cause: error,
  });
}
