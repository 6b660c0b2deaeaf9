import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { fileExists, onFile } from '@scorer/core/files';
import { scorerConfigSchema } from '@scorer/core/schema';
import { FILES } from '../checkpoint.js';
import { readSplit } from '../data/split-file.js';
import type { ScoredTrace } from '../scores/scored-trace.js';

/** What a checkpoint folder says of the scorer behind some scores. */
export interface CheckpointOrigin {
  readonly name: string;
  /** What the scorer reads. */
  readonly summary: string;
  /** Whether the scorer was validated on a trace; undefined where the folder does not tell. */
  isHeldOut?(trace: ScoredTrace): boolean;
}

/** @throws ScorerError `SCORER_CONFIG_INVALID`, `SPLIT_INVALID`, `FILE_NOT_FOUND` */
export async function readCheckpointOrigin(folder: string): Promise<CheckpointOrigin> {
  const path = join(folder, FILES.config);
  const parsed = scorerConfigSchema.safeParse(parse(await onFile(path, () => readFile(path, 'utf8'))));
  if (!parsed.success) {
    const what = 'it is not the config.json of a scorer that this version reads';
    throw new ScorerError({ code: 'SCORER_CONFIG_INVALID', what, where: path, cause: parsed.error });
  }
  const { name, model, feature, feature_layers: layers } = parsed.data;
  const summary = `${model}, feature ${feature} (${layers.length === 1 ? 'layer' : 'layers'} ${layers.join(', ')})`;
  const splitPath = join(folder, FILES.split);
  if (!(await fileExists(splitPath))) return { name, summary };
  const { validation } = await readSplit(splitPath);
  const heldOut = new Map(validation.map(({ shard, trace_index }) => [shard, new Set(trace_index)]));
  return { name, summary, isHeldOut: ({ shard, trace_index }) => heldOut.get(shard)?.has(trace_index) === true };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
