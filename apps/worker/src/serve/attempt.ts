import { randomBytes } from 'node:crypto';
import { constants, copyFile, link, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileExists, makeFolder, onFile, syncFolder } from '@scorer/core/files';
import { type ManifestShard, type Run, shardPath } from '../run/manifest.js';

/**
 * A worker's try at a shard, in a hidden folder of its own:
 *
 *     .attempts/<shard>/<worker>/      the partial, then the sealed shard, until it is published
 *
 * A worker that was frozen beyond its lease wakes up in the middle of a trace and goes on writing, while another has
 * taken the shard over. No lock can prevent that, since nobody can tell a frozen process on another machine from a dead
 * one. So no two of them ever write to the same file: the other one begins with a copy of the partial (whose records
 * have checksums, so that a copy of a file that is still being written is cut to what is whole), and whoever is done
 * first gives the shard its name, which the later one finds taken. Both have the same bytes.
 */
export interface Attempt {
  readonly folder: string;
  /** For `extract`: its shard has the published name, in this folder. */
  readonly outputPath: string;
  /** Whether the folder is still there: a worker that published the shard has removed it. */
  stands(): Promise<boolean>;
  /** Gives the shard its name. @returns `kept` where it has been there already */
  publish(): Promise<'written' | 'kept'>;
}

/** A name that no other process has: two on one machine, or one that was frozen and its successor, must not share. */
export function newWorkerId(): string {
  return randomBytes(8).toString('hex');
}

/**
 * Makes the folder and takes over what other attempts have finished of the shard.
 * @throws ScorerError `DISK_FULL`, `NO_PERMISSION`, …
 */
export async function openAttempt(run: Run, shard: ManifestShard, worker: string): Promise<Attempt> {
  const path = shardPath(run, shard);
  const name = basename(path);
  const attempts = attemptsFolder(path);
  const folder = join(attempts, worker);
  const sealed = join(folder, name);
  const failures = `${name}.failures.json`;

  await makeFolder(folder);
  await takeOver(attempts, worker, `.${name}.partial`);

  return {
    folder,
    outputPath: join(folder, basename(run.output)),
    stands: () => fileExists(folder),
    async publish() {
      if (await fileExists(path)) return 'kept';
      // First what belongs to the shard, so that a shard that is there has it.
      const hasFailures = await fileExists(join(folder, failures));
      if (hasFailures) await onFile(path, () => rename(join(folder, failures), join(dirname(path), failures)));
      else await rm(join(dirname(path), failures), { force: true });
      const status = await giveName(sealed, path);
      await syncFolder(dirname(path));
      return status;
    },
  };
}

/** Removes every attempt at a shard that is there, those of frozen workers included. */
export async function removeAttempts(path: string): Promise<void> {
  await rm(attemptsFolder(path), { recursive: true, force: true, maxRetries: 3 });
  // The folder of all attempts goes with the last of them.
  await rmdir(dirname(attemptsFolder(path))).catch(() => {});
}

function attemptsFolder(path: string): string {
  return join(dirname(path), '.attempts', basename(path));
}

/** Copies the longest partial of the others. */
async function takeOver(attempts: string, worker: string, partial: string): Promise<void> {
  const own = join(attempts, worker, partial);
  let longest = { path: own, size: await sizeOf(own) };
  for (const other of await onFile(attempts, () => readdir(attempts))) {
    const path = join(attempts, other, partial);
    const size = await sizeOf(path);
    if (size > longest.size) longest = { path, size };
  }
  if (longest.path === own) return;
  const copying = `${own}.copying`;
  try {
    // A clone of the blocks where the file system can do that.
    await onFile(own, () => copyFile(longest.path, copying, constants.COPYFILE_FICLONE));
    await onFile(own, () => rename(copying, own));
  } finally {
    await rm(copying, { force: true });
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** What file systems say that have no hard links. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** A link is refused where the name is taken; a rename would replace the file under its readers. */
async function giveName(from: string, to: string): Promise<'written' | 'kept'> {
  try {
    await link(from, to);
    return 'written';
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code === 'EEXIST') return 'kept';
    if (!NO_LINKS.has(code)) throw error;
  }
  await onFile(to, () => rename(from, to));
  return 'written';
}
