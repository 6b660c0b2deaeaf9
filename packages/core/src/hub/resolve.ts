import { existsSync } from 'node:fs';
import type { OnProgress } from '../cli/progress.js';
import { ScorerError } from '../errors/index.js';
import { type ModelCache, modelCache } from './cache.js';
import { readHubSettings } from './settings.js';

/** Names of files in a model's repository. */
export interface ModelFiles {
  required: readonly string[];
  /** Taken where the model has them. */
  optional?: readonly string[];
}

export interface ResolveOptions {
  files: ModelFiles;
  /** Branch, tag or commit of a hub model; `main` by default. */
  revision?: string | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
}

/** `owner/name`, with the characters that the hub allows. */
const HUB_ID = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;

/**
 * The local folder of a model: the path itself where it exists, else the snapshot of a hub model (`Qwen/Qwen3-4B`) in
 * the Hugging Face cache. What the cache lacks is fetched into it, in the layout that Python's tools share; a model
 * that is there is used without asking the hub. Files of a snapshot are symbolic links.
 * @throws ScorerError `MODEL_NOT_FOUND`, `MODEL_NOT_ALLOWED`, `MODEL_FILE_MISSING`, `HUB_OFFLINE`; `HUB_UNREACHABLE` and
 *   `HUB_FAILED` (retryable)
 */
export async function resolveModelFolder(idOrPath: string, options: ResolveOptions): Promise<string> {
  if (existsSync(idOrPath) || !HUB_ID.test(idOrPath)) return idOrPath;
  const { files, revision = 'main', signal, onProgress } = options;
  const settings = await readHubSettings();
  const cache = modelCache(settings.cacheFolder, idOrPath);

  const cached = await findCached(cache, revision, files);
  if (cached?.isSettled) return cached.folder;
  if (settings.offline) {
    if (cached) return cached.folder;
    throw new ScorerError({
      code: 'HUB_OFFLINE',
      what: 'no such folder, the model is not in the cache, and HF_HUB_OFFLINE forbids to fetch it',
      where: `${idOrPath} in ${settings.cacheFolder}`,
      hint: 'unset HF_HUB_OFFLINE, or name a folder',
    });
  }
  // Loaded when it is needed: a client of half a megabyte, for a model that is mostly there.
  const { downloadFiles } = await import('./download.js');
  try {
    return await downloadFiles(idOrPath, { revision, files, settings, cache, signal, onProgress });
  } catch (error) {
    // Only whether an optional file exists is not known: without the hub it is taken not to.
    if (cached && error instanceof ScorerError && error.code === 'HUB_UNREACHABLE') return cached.folder;
    throw error;
  }
}

/** The snapshot that has all required files; settled where of the optional ones too it is known which there are. */
async function findCached(
  cache: ModelCache,
  revision: string,
  { required, optional = [] }: ModelFiles,
): Promise<{ folder: string; isSettled: boolean } | undefined> {
  const commit = await cache.commitOf(revision);
  if (commit === undefined) return undefined;
  const stateOf = (file: string) => cache.state(commit, file);
  const requiredStates = await Promise.all(required.map(stateOf));
  if (!requiredStates.every((state) => state === 'present')) return undefined;
  const optionalStates = await Promise.all(optional.map(stateOf));
  return { folder: cache.snapshot(commit), isSettled: !optionalStates.includes('unknown') };
}
