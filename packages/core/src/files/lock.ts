import { type FileHandle, open, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ScorerError } from '../errors/index.js';
import { newOwnerTag, OWNER_PATTERN, ownerIsAlive, ownerIsOnThisHost } from './owner.js';
import { fileError, onFile } from './system-error.js';

export interface FileLock {
  /**
   * Asks the file system, not a clock: for before every write, since this process may have been frozen.
   * @throws ScorerError `LOCK_LOST` (retryable) where another process has taken the lock
   */
  assertHeld(): Promise<void>;
  release(): Promise<void>;
}

export interface LockOptions {
  /** How often the holder touches its claim. */
  beatMs?: number;
  /** How long a claim of another host counts without having been touched. */
  leaseMs?: number;
  /**
   * Runs before the lock is taken from a process on another host that has been silent for the lease. It may only be frozen
   * and still have files open: what it could write into is to be replaced here.
   */
  shutOut?: () => Promise<void>;
}

const BEAT_MS = 20_000;

/**
 * Nine beats. An NFS server that restarts lets nobody write for 90 s, and its clients may remember a file's times for
 * another 60 s; machines whose clocks stamp the files themselves (Lustre) differ by far less.
 */
const LEASE_MS = 180_000;

/**
 * Takes the lock on `path` (which need not exist) for this process, or returns undefined where another holds it.
 *
 * Each taker first puts down a claim of its own, `.<name>.<owner>.lock`, and then looks for others. So of two takers at
 * least one sees the other: both may be refused, never both served. Claims of dead processes are removed by whoever
 * meets them, which is safe because no living process ever uses such a name.
 *
 * A process on another host can't be looked at. Its claim counts while it is touched: a holder writes into it every
 * `beatMs`, without keeping its process alive for that, and a claim whose time of writing is `leaseMs` before that of
 * one written now is taken away. Both times are the file system's, so that clocks of hosts may differ.
 */
export async function lockFile(
  path: string,
  { beatMs = BEAT_MS, leaseMs = LEASE_MS, shutOut }: LockOptions = {},
): Promise<FileLock | undefined> {
  const folder = dirname(path);
  const prefix = `.${basename(path)}.`;
  const claim = join(folder, `${prefix}${newOwnerTag()}.lock`);
  let beating: NodeJS.Timeout | undefined;

  async function release(): Promise<void> {
    clearTimeout(beating);
    beating = undefined;
    await rm(claim, { force: true });
  }

  function beatOn(): void {
    beating = setTimeout(async () => {
      const current = beating;
      // A file system that does not answer now may at the next beat; who writes meanwhile asks for itself.
      const touched = await touch(claim).catch(() => 'unknown');
      if (touched !== 'gone' && beating === current) beatOn();
    }, beatMs).unref();
  }

  await onFile(path, async () => (await open(claim, 'wx')).close());
  try {
    const silent: string[] = [];
    for (const name of await onFile(folder, () => readdir(folder))) {
      const other = join(folder, name);
      if (other === claim || !name.startsWith(prefix) || !name.endsWith('.lock')) continue;
      const tag = name.slice(prefix.length, -'.lock'.length);
      if (!OWNER_PATTERN.test(tag)) continue;
      const isHere = ownerIsOnThisHost(tag);
      if (isHere ? ownerIsAlive(tag) : (await silence(other, claim)) < leaseMs) {
        await release();
        return undefined;
      }
      if (isHere) await rm(other, { force: true });
      else silent.push(other);
    }
    // In this order: where this process is killed in between, the next one shuts out as well.
    if (silent.length > 0) await shutOut?.();
    for (const other of silent) await rm(other, { force: true });
    beatOn();
    return {
      async assertHeld() {
        if ((await withClaim(claim, 'r', async () => 'held')) === 'gone') throw lostError(path);
      },
      release,
    };
  } catch (error) {
    await release();
    throw error;
  }
}

/** For how long another's claim has not been touched, in milliseconds by the file system's clock. */
async function silence(other: string, own: string): Promise<number> {
  const now = await touch(own);
  const then = await stat(other).catch(() => undefined);
  // One that can't be looked at, or was released this moment, still counts.
  return now === 'gone' || then === undefined ? 0 : now - then.mtimeMs;
}

/** Writes into a claim, and gives the time that the file system puts on that. */
async function touch(claim: string): Promise<number | 'gone'> {
  return withClaim(claim, 'r+', async (handle) => {
    await handle.write('.', 0);
    await handle.sync();
    return (await handle.stat()).mtimeMs;
  });
}

/** Opens a claim: an NFS client asks the server then, where a bare stat may be answered from memory. */
async function withClaim<Result>(
  claim: string,
  flags: 'r' | 'r+',
  action: (handle: FileHandle) => Promise<Result>,
): Promise<Result | 'gone'> {
  try {
    const handle = await open(claim, flags);
    try {
      return await action(handle);
    } finally {
      await handle.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ESTALE: removed on another host while it was open here.
    if (code === 'ENOENT' || code === 'ESTALE') return 'gone';
    throw fileError(error, claim);
  }
}

function lostError(where: string): ScorerError {
  return new ScorerError({
    code: 'LOCK_LOST',
    kind: 'retryable',
    what: 'this process was silent for so long that another has taken its lock',
    where,
    hint: 'run the same command again once the other is done',
  });
}
