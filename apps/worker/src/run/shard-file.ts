import { ScorerError } from '@scorer/core/errors';
import { fileExists } from '@scorer/core/files';
import { openShard } from '@scorer/core/shards';
import { type Manifest, type ManifestShard, type Run, shardPath } from './manifest.js';

/** What stands at a shard's place. The file is the truth, whatever the queue says. */
export type ShardFile =
  | { state: 'missing' }
  | { state: 'done'; traces: number; steps: number }
  /** Made from other input, by another model or with other settings. */
  | { state: 'different'; difference: string };

/**
 * Looks at a shard's file by its header; `verifyShard` reads it whole.
 * @throws ScorerError the codes of `openShard` where it is no shard
 */
export async function inspectShard(run: Pick<Run, 'output' | 'manifest'>, planned: ManifestShard): Promise<ShardFile> {
  const path = shardPath(run, planned);
  if (!(await fileExists(path))) return { state: 'missing' };
  const shard = await openShard(path);
  await shard.close();
  const difference = differenceOf(shard, planned, run.manifest);
  if (difference) return { state: 'different', difference };
  return { state: 'done', traces: shard.traceCount, steps: shard.stepCount };
}

/** A shard with its number in the run. */
export interface NumberedShard {
  index: number;
  shard: ManifestShard;
}

/** @throws ScorerError `OUTPUT_DIFFERS` (usage) where a shard of something else has the name of one of the run */
export async function missingShards(run: Run): Promise<NumberedShard[]> {
  const missing: NumberedShard[] = [];
  for (const [index, shard] of run.manifest.shards.entries()) {
    const file = await inspectShard(run, shard);
    if (file.state === 'missing') missing.push({ index, shard });
    if (file.state === 'different') throw outputDiffers(file.difference, shardPath(run, shard));
  }
  return missing;
}

export function outputDiffers(what: string, where: string): ScorerError {
  return new ScorerError({
    code: 'OUTPUT_DIFFERS',
    kind: 'usage',
    what,
    where,
    hint: 'choose another --output-path, or remove what stands there',
  });
}

function differenceOf(
  { metadata, layers, storage, confidenceTopK }: Awaited<ReturnType<typeof openShard>>,
  planned: ManifestShard,
  manifest: Manifest,
): string | undefined {
  const properties: [name: string, found: unknown, wanted: unknown][] = [
    ['model_fingerprint', metadata.model_fingerprint, manifest.model.fingerprint],
    ['input_fingerprint', metadata.input_fingerprint, planned.fingerprint],
    ['layers', layers.join(), manifest.layers.join()],
    ['storage', storage, manifest.storage],
    ['confidence_top_k', confidenceTopK, manifest.confidence_top_k],
    ['confidence_from', metadata.confidence_from, manifest.confidence_top_k && 'model'],
    ['dtype', metadata.dtype, manifest.dtype ?? metadata.dtype],
  ];
  const wrong = properties.find(([, found, wanted]) => found !== wanted);
  return wrong && `${wrong[0]} is ${wrong[1]}, the run's is ${wrong[2]}`;
}
