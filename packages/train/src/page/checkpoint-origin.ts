import { join } from 'node:path';
import { fileExists } from '@scorer/core/files';
import { FILES } from '../checkpoint.js';
import { readConfig } from '../config.js';
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
  const { name, model, feature, feature_layers: layers } = await readConfig(join(folder, FILES.config));
  const summary = `${model}, feature ${feature} (${layers.length === 1 ? 'layer' : 'layers'} ${layers.join(', ')})`;
  const splitPath = join(folder, FILES.split);
  if (!(await fileExists(splitPath))) return { name, summary };
  const { validation } = await readSplit(splitPath);
  const heldOut = new Map(validation.map(({ shard, trace_index }) => [shard, new Set(trace_index)]));
  return { name, summary, isHeldOut: ({ shard, trace_index }) => heldOut.get(shard)?.has(trace_index) === true };
}
