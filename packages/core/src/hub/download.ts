import { createHash } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { downloadFile, fileDownloadInfo, HubApiError, modelInfo } from '@huggingface/hub';
import type { OnProgress } from '../cli/progress.js';
import { ScorerError } from '../errors/index.js';
import { lockFile, makeFolder, onFile, syncFolder, writeFully } from '../files/index.js';
import type { ModelCache } from './cache.js';
import type { ModelFiles } from './resolve.js';
import type { HubSettings } from './settings.js';

interface DownloadOptions {
  revision: string;
  files: ModelFiles;
  settings: HubSettings;
  cache: ModelCache;
  signal: AbortSignal | undefined;
  onProgress: OnProgress | undefined;
}

/** What a model's host may answer for a file name: no path out of the cache. */
const ETAG = /^[A-Za-z0-9._-]{1,128}$/;

/** Of a file that the hub keeps in its large file storage the tag is its SHA-256. */
const SHA256 = /^[0-9a-f]{64}$/;

/**
 * Fetches those of the files that the cache lacks, one after the other, and returns the snapshot's folder. Each appears
 * whole or not at all, a broken download is taken up again; the revision is recorded when all are there.
 */
export async function downloadFiles(id: string, options: DownloadOptions): Promise<string> {
  const { revision, files, settings, cache, signal, onProgress } = options;
  const source = {
    hubUrl: settings.endpoint,
    ...(settings.token && { accessToken: settings.token }),
    fetch: ((input, init) => fetch(input, { ...init, signal: signal ?? null })) satisfies typeof fetch,
  };
  const ask = <Answer>(request: () => Promise<Answer>): Promise<Answer> => onHub(id, options, request);

  const { sha: commit, filePaths } = await ask(() =>
    modelInfo({ name: id, revision, additionalFields: ['sha', 'filePaths'], ...source }),
  );
  const missing = files.required.find((file) => !filePaths.includes(file));
  if (missing !== undefined) {
    throw new ScorerError({
      code: 'MODEL_FILE_MISSING',
      what: `the model has no ${missing}`,
      where: `${id} at ${revision}`,
      hint: 'take a model of the kind that transformers loads',
    });
  }

  for (const file of [...files.required, ...(files.optional ?? [])]) {
    if ((await cache.state(commit, file)) === 'present') continue;
    if (filePaths.includes(file)) await fetchFile(file);
    else await cache.markAbsent(commit, file);
  }
  await cache.setRevision(revision, commit);
  return cache.snapshot(commit);

  async function fetchFile(path: string): Promise<void> {
    const request = { repo: id, path, revision: commit, ...source };
    const info = await ask(() => fileDownloadInfo(request));
    const etag = info?.etag.replace(/^W\/|"/g, '');
    if (!info || etag === undefined || !ETAG.test(etag)) throw hubFailed(id, `no usable answer for ${path}`);
    if (!existsSync(cache.blob(etag))) {
      const blob = await ask(() => downloadFile({ ...request, downloadInfo: info }));
      if (!blob) throw hubFailed(id, `no answer for ${path}`);
      await ask(() => store(blob, { path, etag, size: info.size }));
    }
    await cache.link(commit, path, etag);
  }

  /**
   * What arrives of a file stays in `<etag>.incomplete`, also when the connection breaks. The next run goes on after
   * it, where the file's own hash will tell whether both halves are of the same file.
   */
  async function store(blob: Blob, { path, etag, size }: { path: string; etag: string; size: number }): Promise<void> {
    const target = cache.blob(etag);
    const incomplete = `${target}.incomplete`;
    await makeFolder(dirname(target));
    const lock = await lockFile(target);
    if (!lock) throw hubFailed(id, `another process is fetching ${path}`);
    const hasHash = SHA256.test(etag);
    const file = await onFile(incomplete, () => open(incomplete, constants.O_RDWR | constants.O_CREAT));
    try {
      let done = (await file.stat()).size;
      if (!hasHash || done > size) done = 0;
      await file.truncate(done);
      const hash = createHash('sha256');
      if (done > 0) {
        for await (const chunk of file.createReadStream({ start: 0, end: done - 1, autoClose: false }))
          hash.update(chunk);
      }
      if (done < size) {
        for await (const chunk of blob.slice(done).stream()) {
          hash.update(chunk);
          await writeFully(file, incomplete, done, chunk);
          done += chunk.length;
          onProgress?.({ stage: `fetching ${path}`, done, total: size, unit: 'bytes' });
        }
      }
      if (done !== size || (hasHash && hash.digest('hex') !== etag)) {
        await rm(incomplete);
        throw hubFailed(id, `${path} did not arrive whole`);
      }
      await onFile(incomplete, () => file.sync());
      await onFile(target, () => rename(incomplete, target));
      await syncFolder(dirname(target));
    } finally {
      await file.close();
      await lock.release();
    }
  }
}

/** Runs a request and says what its failure means for the user. */
async function onHub<Answer>(
  id: string,
  { revision, settings, signal }: DownloadOptions,
  request: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await request();
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ScorerError) throw error;
    if (error instanceof HubApiError) throw refusal(error, id, revision, settings);
    if (error instanceof TypeError && error.cause) {
      throw new ScorerError({
        code: 'HUB_UNREACHABLE',
        kind: 'retryable',
        what: `no such folder, the model is not in the cache, and ${settings.endpoint} does not answer (${messageOf(error.cause)})`,
        where: id,
        hint: 'check the connection, set HF_ENDPOINT to a mirror, or name a folder',
        cause: error,
      });
    }
    throw hubFailed(id, messageOf(error), error);
  }
}

function refusal(error: HubApiError, id: string, revision: string, { token }: HubSettings): ScorerError {
  if (error.statusCode === 401 || error.statusCode === 403) {
    return new ScorerError({
      code: 'MODEL_NOT_ALLOWED',
      what: `no such folder, and the hub ${token ? 'refuses the token for this model' : 'shows no such model without a token'}`,
      where: id,
      hint: 'check the name; for a gated model accept its terms and set HF_TOKEN',
      cause: error,
    });
  }
  if (error.statusCode === 404) {
    return new ScorerError({
      code: 'MODEL_NOT_FOUND',
      what: `no such folder, and no such model or revision (${revision}) on the hub`,
      where: id,
      hint: 'check the name and --revision',
      cause: error,
    });
  }
  return hubFailed(id, `status ${error.statusCode}`, error);
}

function hubFailed(id: string, why: string, cause?: unknown): ScorerError {
  return new ScorerError({
    code: 'HUB_FAILED',
    kind: 'retryable',
    what: `the hub failed: ${why}`,
    where: id,
    hint: 'run again in a while',
    cause,
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
