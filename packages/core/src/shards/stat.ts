import { stat } from 'node:fs/promises';
import { onFile } from '../files/index.js';
import { openSafetensors, type SafetensorsFile } from '../safetensors/index.js';
import { SHARD_FORMAT, type Storage } from '../schema/index.js';
import { openShardFolder } from './folder.js';
import { openShard, type Shard } from './reader.js';
import { NO_STEP_LABEL } from './step-labels.js';

/** What a set of traces holds; the names are those of the command line's JSON. */
export interface ShardContents {
  model: string;
  model_fingerprint: string;
  layers: readonly number[];
  hidden_size: number;
  storage: Storage;
  traces: number;
  labels: { right: number; wrong: number };
  /** Different ones. */
  questions: number;
  steps: number;
  /** Steps of the model's own reasoning, not inside the prompt. */
  reasoning_steps: number;
  /** Steps by their own labels, where some have one; right from 0.5 on. */
  step_labels?: { right: number; wrong: number; none: number };
  /** Where tokens have a confidence: over how many of the most probable ones. */
  confidence_top_k?: number;
  /** Whether these were computed by the model or are of the records' field `logprobs`, where the shards say. */
  confidence_from?: 'model' | 'field';
  tokens: number;
}

interface FileContents {
  path: string;
  bytes: number;
  metadata: Readonly<Record<string, string>>;
  tensors: { name: string; dtype: string; shape: readonly number[] }[];
}

export type SafetensorsStat = { kind: 'safetensors' } & FileContents;
export type ShardStat = { kind: 'shard' } & FileContents & ShardContents;
export type FolderStat = { kind: 'folder'; path: string; bytes: number } & ShardContents & {
    shards: { path: string; bytes: number; traces: number; steps: number }[];
  };

/**
 * What a shard, any other safetensors file, or a folder of shards holds. Hidden states are not read.
 * @throws ScorerError the codes of `openSafetensors`, `openShard` and `openShardFolder`
 */
export async function statShards(path: string): Promise<ShardStat | SafetensorsStat | FolderStat> {
  const found = await onFile(path, () => stat(path));
  return found.isDirectory() ? statFolder(path) : statFile(path, found.size);
}

async function statFile(path: string, bytes: number): Promise<ShardStat | SafetensorsStat> {
  const file = await openSafetensors(path);
  await file.close();
  const contents = fileContents(file, bytes);
  if (file.metadata.format !== SHARD_FORMAT) return { kind: 'safetensors', ...contents };
  const shard = await openShard(path);
  try {
    return { kind: 'shard', ...contents, ...(await shardContents([shard])) };
  } finally {
    await shard.close();
  }
}

async function statFolder(path: string): Promise<FolderStat> {
  const folder = await openShardFolder(path);
  try {
    const shards: FolderStat['shards'] = [];
    for (const { path, traceCount: traces, stepCount: steps } of folder.shards) {
      shards.push({ path, bytes: (await stat(path)).size, traces, steps });
    }
    const bytes = shards.reduce((sum, { bytes }) => sum + bytes, 0);
    return { kind: 'folder', path, bytes, ...(await shardContents(folder.shards)), shards };
  } finally {
    await folder.close();
  }
}

function fileContents({ path, metadata, tensors }: SafetensorsFile, bytes: number): FileContents {
  const infos = [...tensors.values()].map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  return { path, bytes, metadata, tensors: infos };
}

async function shardContents(shards: readonly Shard[]): Promise<ShardContents> {
  const { metadata, layers, hiddenSize, storage, confidenceTopK } = shards[0]!;
  const questions = new Set<string>();
  let [traces, right, steps, reasoning, tokens] = [0, 0, 0, 0, 0];
  for (const shard of shards) {
    traces += shard.traceCount;
    steps += shard.stepCount;
    for (const label of shard.labels) right += label;
    for (const count of shard.tokenCounts) tokens += count;
    for (const region of await shard.stepRegions()) reasoning += region;
    for (const question of await shard.text('question')) questions.add(question);
  }
  return {
    model: metadata.model,
    model_fingerprint: metadata.model_fingerprint,
    layers,
    hidden_size: hiddenSize,
    storage,
    traces,
    labels: { right, wrong: traces - right },
    questions: questions.size,
    steps,
    reasoning_steps: reasoning,
    ...(shards.some(({ hasStepLabels }) => hasStepLabels) && { step_labels: await countStepLabels(shards) }),
    ...(confidenceTopK !== undefined && { confidence_top_k: confidenceTopK }),
    ...(metadata.confidence_from && { confidence_from: metadata.confidence_from }),
    tokens,
  };
}

async function countStepLabels(shards: readonly Shard[]): Promise<{ right: number; wrong: number; none: number }> {
  const counts = { right: 0, wrong: 0, none: 0 };
  for (const shard of shards) {
    const labels = await shard.stepLabels();
    if (!labels) counts.none += shard.stepCount;
    for (const label of labels ?? []) counts[label === NO_STEP_LABEL ? 'none' : label >= 0.5 ? 'right' : 'wrong'] += 1;
  }
  return counts;
}
