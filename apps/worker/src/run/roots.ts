import { readdir, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { onFile } from '@scorer/core/files';

/**
 * The folders that a process may read and write, as real paths. What comes out of Redis or a run file names files
 * relative to one of them, so that machines may mount the shared file system at different places, and nothing outside
 * of them is ever opened: not by `..`, not by an absolute path, not by a symlink.
 */
export type Roots = readonly string[];

/** Longer than any path of a sane tree, shorter than what the system refuses (PATH_MAX is 4,096 bytes). */
export const MAX_PATH_LENGTH = 1024;

/** @throws ScorerError `FILE_NOT_FOUND` where a root does not exist */
export async function openRoots(folders: readonly string[]): Promise<Roots> {
  return Promise.all(folders.map((folder) => onFile(folder, () => realpath(folder))));
}

/**
 * How a path is written in a run: relative to the root that holds it, with `/`. The file need not exist yet.
 * @throws ScorerError `OUTSIDE_ROOTS` (usage)
 */
export async function toRootPath(path: string, roots: Roots): Promise<string> {
  const real = await realpathOfNew(resolve(path));
  const root = roots.find((folder) => isInside(real, folder));
  if (root === undefined) throw outsideError(path, roots);
  return relative(root, real).split(sep).join('/');
}

/**
 * The file of a path written by `toRootPath`, as a real path: in the first root that has it.
 * @throws ScorerError `BAD_ROOT_PATH`, `OUTSIDE_ROOTS` (usage), `FILE_NOT_FOUND`
 */
export async function fromRootPath(path: string, roots: Roots): Promise<string> {
  const parts = path.split('/');
  if (path.length > MAX_PATH_LENGTH || isAbsolute(path) || /[\\\0]/.test(path) || parts.includes('..')) {
    throw new ScorerError({
      code: 'BAD_ROOT_PATH',
      what: 'not a path inside a root',
      where: JSON.stringify(path.slice(0, MAX_PATH_LENGTH)),
      hint: 'submit the run again',
    });
  }
  for (const root of roots) {
    const real = await realpath(join(root, ...parts)).catch(() => undefined);
    if (real === undefined) continue;
    if (!roots.some((folder) => isInside(real, folder))) throw outsideError(join(root, ...parts), roots);
    return real;
  }
  throw new ScorerError({
    code: 'FILE_NOT_FOUND',
    what: `none of the roots has ${path}`,
    where: roots.join(', '),
    hint: 'give --root the folder under which this machine sees the shared files',
  });
}

/**
 * Checks that a file leads to no place outside the roots.
 * @throws ScorerError `OUTSIDE_ROOTS` (usage), `FILE_NOT_FOUND`
 */
async function checkInsideRoots(path: string, roots: Roots): Promise<void> {
  const real = await onFile(path, () => realpath(path));
  if (!roots.some((folder) => isInside(real, folder))) throw outsideError(path, roots);
}

/** As `checkInsideRoots`, for a folder and what lies in it: a link there may lead elsewhere than the folder. */
export async function checkFolderInsideRoots(folder: string, roots: Roots): Promise<void> {
  await checkInsideRoots(folder, roots);
  for (const name of await onFile(folder, () => readdir(folder))) await checkInsideRoots(join(folder, name), roots);
}

/** The real path of a file whose last parts may not exist yet. */
async function realpathOfNew(path: string): Promise<string> {
  const real = await realpath(path).catch(() => undefined);
  if (real !== undefined || path === dirname(path)) return real ?? path;
  return join(await realpathOfNew(dirname(path)), basename(path));
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function outsideError(path: string, roots: Roots): ScorerError {
  return new ScorerError({
    code: 'OUTSIDE_ROOTS',
    kind: 'usage',
    what: `not inside ${roots.join(' or ')}`,
    where: path,
    hint: 'name its folder with --root, on every machine of the run',
  });
}
