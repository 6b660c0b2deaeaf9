import { open, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { newOwnerTag, OWNER_PATTERN, ownerIsAlive } from './owner.js';
import { onFile } from './system-error.js';

export interface FileLock {
  release(): Promise<void>;
}

/**
 * Takes the lock on `path` (which need not exist) for this process, or returns undefined where another holds it.
 *
 * Each taker first puts down a claim of its own, `.<name>.<owner>.lock`, and then looks for others. So of two takers at
 * least one sees the other: both may be refused, never both served. Claims of dead processes are removed by whoever
 * meets them, which is safe because no living process ever uses such a name.
 */
export async function lockFile(path: string): Promise<FileLock | undefined> {
  const folder = dirname(path);
  const prefix = `.${basename(path)}.`;
  const claim = `${prefix}${newOwnerTag()}.lock`;
  const release = (): Promise<void> => rm(join(folder, claim), { force: true });

  await onFile(path, async () => (await open(join(folder, claim), 'wx')).close());
  for (const name of await onFile(folder, () => readdir(folder))) {
    if (name === claim || !name.startsWith(prefix) || !name.endsWith('.lock')) continue;
    const tag = name.slice(prefix.length, -'.lock'.length);
    if (!OWNER_PATTERN.test(tag)) continue;
    if (ownerIsAlive(tag)) {
      await release();
      return undefined;
    }
    await rm(join(folder, name), { force: true });
  }
  return { release };
}
