import { randomUUID } from 'node:crypto';
import { readFile, rename, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileExists, makeFolder, onFile, writeFileAtomic } from '../files/index.js';

/**
 * The part of Hugging Face's cache that holds one model, as Python's `huggingface_hub` lays it out:
 * `refs/<revision>` names a commit, `snapshots/<commit>/<file>` links to `blobs/<etag>`, and `.no_exist/<commit>/<file>`
 * says that the commit has no such file.
 */
export interface ModelCache {
  /** The commit that a revision (a branch, a tag, a commit) was when it was last fetched. */
  commitOf(revision: string): Promise<string | undefined>;
  snapshot(commit: string): string;
  blob(etag: string): string;
  /** `present`, known to be `absent`, or `unknown`: never asked for. */
  state(commit: string, file: string): Promise<'present' | 'absent' | 'unknown'>;
  /** Makes a blob a file of a commit; several processes may do so at once. */
  link(commit: string, file: string, etag: string): Promise<void>;
  markAbsent(commit: string, file: string): Promise<void>;
  setRevision(revision: string, commit: string): Promise<void>;
}

const COMMIT = /^[0-9a-f]{40}$/;

export function modelCache(cacheFolder: string, id: string): ModelCache {
  const root = join(cacheFolder, `models--${id.replaceAll('/', '--')}`);
  const snapshot = (commit: string): string => join(root, 'snapshots', commit);
  const absence = (commit: string, file: string): string => join(root, '.no_exist', commit, file);
  const blob = (etag: string): string => join(root, 'blobs', etag);

  return {
    async commitOf(revision) {
      if (COMMIT.test(revision)) return revision;
      const text = await readFile(join(root, 'refs', revision), 'utf8').catch(() => '');
      return COMMIT.test(text.trim()) ? text.trim() : undefined;
    },
    snapshot,
    blob,
    async state(commit, file) {
      // Follows the link: one to a blob that was deleted doesn't count.
      if (await fileExists(join(snapshot(commit), file))) return 'present';
      return (await fileExists(absence(commit, file))) ? 'absent' : 'unknown';
    },
    async link(commit, file, etag) {
      const path = join(snapshot(commit), file);
      await makeFolder(dirname(path));
      // Other processes may read this file or make the same link: it is replaced in one step.
      const temporary = `${path}.${randomUUID()}.tmp`;
      await onFile(path, () => symlink(relative(dirname(path), blob(etag)), temporary));
      await onFile(path, () => rename(temporary, path));
    },
    async markAbsent(commit, file) {
      await makeFolder(dirname(absence(commit, file)));
      await writeFileAtomic(absence(commit, file), '');
    },
    async setRevision(revision, commit) {
      if (COMMIT.test(revision)) return;
      const path = join(root, 'refs', revision);
      await makeFolder(dirname(path));
      await writeFileAtomic(path, commit);
    },
  };
}
