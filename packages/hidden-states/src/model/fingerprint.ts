import { createHash } from 'node:crypto';
import { readFile, realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { makeFolder, sha256File, writeFileAtomic } from '@scorer/core/files';
import { z } from 'zod';
import type { AnyModel } from './any-model.js';

/** Files beside the weights that decide what the hidden states of a text are. */
const SMALL_FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json'];

/**
 * SHA-256 that identifies a model: over the lines `<name> <SHA-256 of the file>` of config, tokenizer and weights, in
 * the order of their names. Hashing tens of gigabytes takes minutes, so a file's hash is kept in the user's cache
 * folder and used again as long as its size and modification time are the same.
 */
export async function modelFingerprint(
  model: AnyModel,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<string> {
  const small = SMALL_FILES.map((name) => ({ name, path: join(model.folder, name) }));
  const files = [...small, ...weightFiles(model)];
  const lines: string[] = [];
  for (const { name, path } of files) {
    const hash = await cachedHash(path, options.signal);
    if (hash !== undefined) lines.push(`${name} ${hash}\n`);
  }
  return createHash('sha256').update(lines.sort().join('')).digest('hex');
}

function weightFiles(model: AnyModel): readonly { name: string; path: string }[] {
  if (model.kind === 'huggingface') return model.weights.files;
  return model.graph.files.map((name) => ({ name, path: join(model.graph.folder, name) }));
}

const cacheEntrySchema = z.object({ path: z.string(), size: z.number(), mtimeMs: z.number(), sha256: z.string() });

/** @returns undefined where the file does not exist */
async function cachedHash(file: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  const path = await realpath(file).catch(() => undefined);
  if (path === undefined) return undefined;
  const { size, mtimeMs } = await stat(path);
  const entryPath = join(cacheFolder(), `${createHash('sha256').update(path).digest('hex')}.json`);

  const known = cacheEntrySchema.safeParse(await readJson(entryPath));
  if (known.success && known.data.path === path && known.data.size === size && known.data.mtimeMs === mtimeMs) {
    return known.data.sha256;
  }
  const sha256 = await sha256File(path, { ...(signal && { signal }) });
  // The cache is a convenience: a read-only home must not stop the work.
  await makeFolder(cacheFolder())
    .then(() => writeFileAtomic(entryPath, JSON.stringify({ path, size, mtimeMs, sha256 })))
    .catch(() => {});
  return sha256;
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'scorer', 'fingerprints');
}
