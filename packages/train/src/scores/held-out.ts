import { basename, join, resolve } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { sha256File } from '@scorer/core/files';
import type { Shard, ShardDataset } from '@scorer/core/shards';
import { FILES } from '../checkpoint.js';
import { readSplit } from '../data/split-file.js';

/** The traces that a scorer was validated on. */
export interface HeldOut {
  readonly kind: 'question' | 'trace' | 'step' | 'folder';
  /** SHA-256 of the file that lists them. */
  readonly fingerprint: string;
  /** Whether it is the scorer's own split, and not another's. */
  readonly isOwn: boolean;
  isHeldOut(shard: Shard, trace: number): boolean;
}

/**
 * Reads which traces of a folder a scorer was validated on.
 * @param only `validation`, or the path of another scorer's split.json
 * @throws ScorerError `FILE_NOT_FOUND`, `SPLIT_INVALID`, `SPLIT_MISMATCH` where the folder lacks shards that it names
 */
export async function readHeldOut(
  only: string,
  scorerFolder: string,
  { shards, path }: ShardDataset,
): Promise<HeldOut> {
  const ownPath = join(scorerFolder, FILES.split);
  const splitPath = only === 'validation' ? ownPath : only;
  const { kind, validation } = await readSplit(splitPath);
  const names = new Set(shards.map((shard) => basename(shard.path)));
  const missing = validation.find(({ shard }) => !names.has(shard));
  if (missing) {
    throw new ScorerError({
      code: 'SPLIT_MISMATCH',
      what: `the split names traces of ${missing.shard}, which is not in ${path}`,
      where: splitPath,
      hint: 'score the folder that the scorer was validated on, or leave out --only',
    });
  }
  const heldOut = new Map(validation.map(({ shard, trace_index }) => [shard, new Set(trace_index)]));
  return {
    kind,
    fingerprint: await sha256File(splitPath),
    isOwn: resolve(splitPath) === resolve(ownPath),
    isHeldOut: (shard, trace) => heldOut.get(basename(shard.path))?.has(shard.traceIndex[trace]!) ?? false,
  };
}
