import { ScorerError } from '@scorer/core/errors';
import { fileExists } from '@scorer/core/files';
import type { Storage } from '@scorer/core/schema';
import { openShard, type Shard } from '@scorer/core/shards';
import type { ComputeType } from '../../graph/graph-weights.js';
import type { ExtractedShard } from '../summary.js';
import type { PlannedShard } from './plan-shards.js';

/** What the states in a shard are, beside the lines that they were made from. */
export interface ShardContents {
  layers: readonly number[];
  hiddenSize: number;
  storage: Storage;
  /** As in `ShardShape`. */
  confidenceTopK: number | undefined;
  /** Whether the model computes it or the records' field `logprobs` has it; undefined without confidence. */
  confidenceFrom: 'model' | 'field' | undefined;
  /** Of the model. */
  fingerprint: string;
  compute: ComputeType;
}

/**
 * The planned shards that an earlier run has finished.
 * @param overwrite `replace`: every shard is made anew
 * @throws ScorerError `OUTPUT_DIFFERS` where a shard's file was made from other input or settings
 */
export async function finishedShards(
  planned: readonly PlannedShard[],
  contents: ShardContents,
  overwrite: 'refuse' | 'replace',
): Promise<Map<PlannedShard, ExtractedShard>> {
  const finished = new Map<PlannedShard, ExtractedShard>();
  if (overwrite === 'replace') return finished;
  for (const plan of planned) {
    if (!(await fileExists(plan.path))) continue;
    const shard = await openShard(plan.path);
    await shard.close();
    const difference = differenceOf(shard, plan, contents);
    if (difference) {
      throw new ScorerError({
        code: 'OUTPUT_DIFFERS',
        kind: 'usage',
        what: `the shard was made with another ${difference}`,
        where: plan.path,
        hint: 'choose another --output-path, or replace it with --overwrite',
      });
    }
    const { traceCount: traces, stepCount: steps } = shard;
    finished.set(plan, { path: plan.path, traces, steps, failures: plan.records - traces, status: 'kept' });
  }
  return finished;
}

/** The first thing in which a shard differs from what would be made now. */
function differenceOf(shard: Shard, plan: PlannedShard, contents: ShardContents): string | undefined {
  const { metadata, layers, storage } = shard;
  if (metadata.input_fingerprint !== plan.fingerprint) return 'input';
  if (metadata.model_fingerprint !== contents.fingerprint) return 'model';
  if (layers.join() !== contents.layers.join()) return `choice of layers (${layers})`;
  if (storage !== contents.storage) return `storage type (${storage})`;
  if (shard.confidenceTopK !== contents.confidenceTopK) {
    return `choice of confidence (${shard.confidenceTopK === undefined ? 'none' : `top ${shard.confidenceTopK}`})`;
  }
  if (metadata.confidence_from !== contents.confidenceFrom) {
    return `source of confidence (${metadata.confidence_from ?? 'not told'})`;
  }
  if (metadata.dtype !== contents.compute) return `dtype (${metadata.dtype})`;
  return undefined;
}
