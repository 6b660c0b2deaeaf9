import { open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { newOwnerTag, OWNER_PATTERN, ownerIsAlive } from './owner.js';
import { onFile } from './system-error.js';
import { writeFully } from './write.js';

/** A file that appears under its name whole or not at all. */
export interface AtomicFile {
  /** Bytes written so far, those still in the buffer included. */
  readonly bytesWritten: number;
  /** Appends; text as UTF-8. Await it before the next call. */
  write(data: Uint8Array | string): Promise<void>;
  /** Replaces bytes that were written before: a checksum in a header that is known only at the end. */
  overwrite(position: number, data: Uint8Array): Promise<void>;
  /** Makes the content durable and gives it its name, replacing a file that has it. */
  commit(): Promise<void>;
  /** Removes what was written; does nothing after `commit`. */
  discard(): Promise<void>;
}

/** Small writes are gathered up to this size: large enough to keep a disk busy, small enough to forget. */
const BUFFER_BYTES = 1024 ** 2;

/** `.<name>.<owner>.tmp`: hidden, and in the same folder because a rename does not cross file systems. */
const TEMPORARY = /^\.(.+)\.([^.]+)\.tmp$/;

/**
 * Opens a file for streaming writes. Nothing is visible at `path` before `commit`, which syncs the content, renames it
 * into place and syncs the folder; a killed process leaves a hidden file only (see `removeStaleTemporaries`).
 * @throws ScorerError `FILE_NOT_FOUND` where the folder is missing, `DISK_FULL`, `NO_PERMISSION`, …
 */
export async function createAtomicFile(path: string): Promise<AtomicFile> {
  const temporary = join(dirname(path), `.${basename(path)}.${newOwnerTag()}.tmp`);
  const handle = await onFile(path, () => open(temporary, 'wx'));
  let buffer: Buffer | undefined;
  let buffered = 0;
  let flushed = 0;
  let state: 'open' | 'committed' | 'discarded' = 'open';

  async function flush(): Promise<void> {
    if (!buffer || buffered === 0) return;
    await writeFully(handle, path, flushed, buffer.subarray(0, buffered));
    flushed += buffered;
    buffered = 0;
  }

  return {
    get bytesWritten() {
      return flushed + buffered;
    },
    async write(data) {
      const bytes = typeof data === 'string' ? Buffer.from(data) : data;
      if (buffered + bytes.length > BUFFER_BYTES) await flush();
      if (bytes.length >= BUFFER_BYTES) {
        await writeFully(handle, path, flushed, bytes);
        flushed += bytes.length;
        return;
      }
      buffer ??= Buffer.allocUnsafeSlow(BUFFER_BYTES);
      buffer.set(bytes, buffered);
      buffered += bytes.length;
    },
    async overwrite(position, data) {
      await flush();
      await writeFully(handle, path, position, data);
    },
    async commit() {
      await flush();
      await onFile(path, () => handle.sync());
      await handle.close();
      await onFile(path, () => rename(temporary, path));
      state = 'committed';
      await syncFolder(dirname(path));
    },
    async discard() {
      if (state !== 'open') return;
      state = 'discarded';
      await handle.close();
      await rm(temporary, { force: true });
    },
  };
}

/** Writes a whole file, durably; readers see the old content or the new, never a part. Errors as `createAtomicFile`. */
export async function writeFileAtomic(path: string, data: Uint8Array | string): Promise<void> {
  const file = await createAtomicFile(path);
  try {
    await file.write(data);
    await file.commit();
  } finally {
    await file.discard();
  }
}

/** Makes renames and removals inside a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  // Windows can't open a folder; its file system journals renames by itself.
  if (process.platform === 'win32') return;
  const handle = await onFile(path, () => open(path, 'r'));
  try {
    await onFile(path, () => handle.sync());
  } finally {
    await handle.close();
  }
}

/** Removes the temporary files in a folder whose writers were killed. Returns their number. */
export async function removeStaleTemporaries(folder: string): Promise<number> {
  return removeTemporaries(folder, (_, owner) => !ownerIsAlive(owner));
}

/**
 * Removes the temporary files of `path`, whoever made them: for one who holds its lock, and has it that no other who
 * once held it can still commit. Returns their number.
 */
export async function removeTemporariesOf(path: string): Promise<number> {
  return removeTemporaries(dirname(path), (name) => name === basename(path));
}

async function removeTemporaries(folder: string, isStale: (of: string, owner: string) => boolean): Promise<number> {
  const names = await onFile(folder, () => readdir(folder));
  const stale = names.filter((name) => {
    const [, of, owner] = TEMPORARY.exec(name) ?? [];
    return of !== undefined && owner !== undefined && OWNER_PATTERN.test(owner) && isStale(of, owner);
  });
  for (const name of stale) await rm(join(folder, name), { force: true });
  return stale.length;
}
