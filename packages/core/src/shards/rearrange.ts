import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { ScorerError } from '../errors/index.js';
import { makeFolder } from '../files/index.js';
import type { ShardOrigin } from '../schema/index.js';
import { checkAgreement } from './folder.js';
import type { ShardShape } from './layout.js';
import { openShard, type Shard } from './reader.js';
import type { ShardSummary } from './seal.js';
import { openShardWriter } from './writer.js';

export interface RearrangeOptions {
  /** What to do where an output stands already: `refuse` by default. */
  overwrite?: 'refuse' | 'replace';
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: { stage: string; done: number; total: number; unit: string }) => void) | undefined;
}

/**
 * Makes one shard of the traces of several, which must be of one model, with the same layers, hidden size and storage,
 * and no trace in common. Its input fingerprint is the SHA-256 of theirs, in the order of their first traces. Its folder
 * is made where it is missing. Stopped and called again, it goes on where it was.
 * @throws ScorerError `NO_SHARDS`, `SHARDS_DISAGREE`, `SHARDS_OVERLAP`, the codes of `openShard` and `openShardWriter`
 */
export async function mergeShards(
  paths: readonly string[],
  output: string,
  options: RearrangeOptions = {},
): Promise<ShardSummary> {
  if (paths.length === 0) throw new ScorerError({ code: 'NO_SHARDS', kind: 'usage', what: 'no shards to merge' });
  const shards: Shard[] = [];
  try {
    for (const path of paths) {
      const shard = await openShard(path);
      shards.push(shard);
      checkAgreement(shards[0]!, shard);
    }
    shards.sort((a, b) => (a.traceIndex[0] ?? 0) - (b.traceIndex[0] ?? 0));
    checkDisjoint(shards);
    const fingerprint = sha256(shards.map(({ metadata }) => metadata.input_fingerprint).join('\n'));
    const sources = shards.flatMap((shard) => Array.from(shard.traceIndex, (_, trace) => ({ shard, trace })));
    return await copyTraces(sources, shards[0]!, output, originOf(shards[0]!, fingerprint), options);
  } finally {
    for (const shard of shards) await shard.close();
  }
}

/**
 * Cuts a shard into several, each of at most `shardSize` lines of the step-record file and named by its own lines, as
 * extraction names them: `<prefix>_hiddenstates_<start>_<end>.safetensors`. A part's input fingerprint is the SHA-256 of
 * the whole's and these lines. Stopped and called again with `overwrite: 'replace'`, it makes the same files.
 * @throws ScorerError the codes of `openShard` and `openShardWriter`
 */
export async function splitShard(
  path: string,
  prefix: string,
  shardSize: number,
  options: RearrangeOptions = {},
): Promise<ShardSummary[]> {
  const shard = await openShard(path);
  try {
    const summaries: ShardSummary[] = [];
    const [first, end] = linesOf(shard);
    for (let start = first; start < end; start += shardSize) {
      const range = `${start}_${Math.min(start + shardSize, end)}`;
      const sources = Array.from(shard.traceIndex, (line, trace) => ({ shard, trace, line })).filter(
        ({ line }) => start <= line && line < start + shardSize,
      );
      const origin = originOf(shard, sha256(`${shard.metadata.input_fingerprint}\n${range}`));
      summaries.push(await copyTraces(sources, shard, `${prefix}_hiddenstates_${range}.safetensors`, origin, options));
    }
    return summaries;
  } finally {
    await shard.close();
  }
}

async function copyTraces(
  sources: readonly { shard: Shard; trace: number }[],
  { layers, hiddenSize, storage, confidenceTopK }: ShardShape,
  output: string,
  metadata: ShardOrigin,
  { overwrite = 'refuse', signal, onProgress }: RearrangeOptions,
): Promise<ShardSummary> {
  const folder = dirname(output);
  await makeFolder(folder);
  const writer = await openShardWriter(output, { layers, hiddenSize, storage, confidenceTopK, metadata, overwrite });
  try {
    for (const [i, { shard, trace }] of sources.entries()) {
      signal?.throwIfAborted();
      onProgress?.({ stage: `writing ${output}`, done: i, total: sources.length, unit: 'traces' });
      if (!writer.finished.has(shard.traceIndex[trace]!)) await writer.append(await shard.readTrace(trace));
    }
    return await writer.seal({ signal });
  } finally {
    await writer.close();
  }
}

/** The lines of the step-record file that a shard was made from: those in its name, else those of its traces. */
function linesOf({ path, traceIndex }: Shard): [start: number, end: number] {
  const range = /_hiddenstates_(\d+)_(\d+)\.safetensors$/.exec(path);
  return range ? [Number(range[1]), Number(range[2])] : [traceIndex[0] ?? 0, (traceIndex.at(-1) ?? -1) + 1];
}

function checkDisjoint(shards: readonly Shard[]): void {
  const owner = new Map<number, string>();
  for (const { path, traceIndex } of shards) {
    for (const index of traceIndex) {
      const other = owner.get(index);
      if (other === undefined) {
        owner.set(index, path);
        continue;
      }
      const hint = 'merge shards of one step-record file, each once';
      throw new ScorerError({ code: 'SHARDS_OVERLAP', what: `trace ${index} is in ${other} too`, where: path, hint });
    }
  }
}

function originOf({ metadata }: Shard, inputFingerprint: string): ShardOrigin {
  return { ...metadata, input_fingerprint: inputFingerprint };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
