import { dirname, resolve } from 'node:path';
import { fileExists, makeFolder, writeFileAtomic } from '@scorer/core/files';
import type { Storage } from '@scorer/core/schema';
import { type ComputeType, loadModel, modelFingerprint, parseLayers } from '@scorer/hidden-states';
import type { Redis } from 'ioredis';
import { registerRun } from '../queue/registry.js';
import {
  addShards,
  DEFAULT_RETRIES,
  jobIdOf,
  openQueue,
  type RetryOptions,
  type RunQueue,
} from '../queue/run-queue.js';
import { encodeManifest, type Manifest, type Run, readRun, runFileOf } from './manifest.js';
import { planRun, type ShardLimit } from './plan.js';
import { checkFolderInsideRoots, type Roots, toRootPath } from './roots.js';
import { missingShards, type NumberedShard, outputDiffers } from './shard-file.js';

export interface SubmitOptions {
  /** Hugging Face folder, hub id or .onnx file; as a file or folder it lies inside a root. */
  model: string;
  inputPath: string;
  /** Shards are named `<outputPath>_hiddenstates_<start>_<end>.safetensors`. */
  outputPath: string;
  start?: number;
  end?: number | undefined;
  layers?: string;
  storage?: Storage;
  /** As `extract` has it. */
  confidence?: { topK: number } | undefined;
  compute?: ComputeType | undefined;
  device?: 'auto' | 'cpu' | 'cuda';
  ignoreConfigKeys?: readonly string[] | undefined;
  limit: ShardLimit;
  retries?: RetryOptions;
  roots: Roots;
  signal?: AbortSignal | undefined;
}

export interface SubmitSummary {
  run: string;
  run_file: string;
  shards: number;
  /** Those that an earlier run had finished; they are not made again. */
  finished: number;
  traces: number;
  /** Tokens that will be computed: of each trace those up to its last step end. */
  tokens: number;
  steps: number;
  /** Of the hidden states of all shards. */
  bytes: number;
}

const STORAGE_BYTES: Record<Storage, number> = { F16: 2, BF16: 2, F32: 4 };

/**
 * Plans a run, writes its run file beside the shards-to-be, and puts what is not finished into the queue. The same
 * call again changes nothing but puts back what has gone missing: a shard's file, or all that Redis knew.
 * @throws ScorerError `OUTPUT_DIFFERS` (usage) where another run's file or shard stands there, and the codes of
 * `planRun`, `toRootPath` and the model's
 */
export async function submit(redis: Redis, options: SubmitOptions): Promise<SubmitSummary> {
  const manifest = await makeManifest(options);
  const { id, text } = encodeManifest(manifest);
  const path = runFileOf(resolve(options.outputPath));
  await makeFolder(dirname(path));
  if (!(await fileExists(path))) await writeFileAtomic(path, text);
  const run = await readRun(path);
  if (run.id !== id) throw outputDiffers('the run that was submitted here had other input, model or settings', path);

  const missing = await missingShards(run);
  const queue = openQueue(id, redis);
  try {
    await registerRun(redis, id, run.file);
    await removeFinishedJobs(queue, missing);
    await addShards(queue, missing, options.retries ?? DEFAULT_RETRIES);
  } finally {
    await queue.close();
  }
  return summaryOf(run, missing.length);
}

async function makeManifest(options: SubmitOptions): Promise<Manifest> {
  const { roots, signal, ignoreConfigKeys } = options;
  const model = await loadModel(options.model, { ignoreKeys: ignoreConfigKeys });
  await checkFolderInsideRoots(model.folder, roots);
  return {
    format: 'scorer.run',
    version: 1,
    model: {
      path: await toRootPath(options.model.endsWith('.onnx') ? options.model : model.folder, roots),
      name: model.name,
      fingerprint: await modelFingerprint(model, { signal }),
      hidden_size: model.spec.hiddenSize,
    },
    input: await toRootPath(options.inputPath, roots),
    output: await toRootPath(options.outputPath, roots),
    layers: parseLayers(options.layers ?? 'last', model.spec.layerCount),
    storage: options.storage ?? 'F16',
    ...(options.confidence && { confidence_top_k: options.confidence.topK }),
    ...(options.compute && { dtype: options.compute }),
    device: options.device ?? 'auto',
    ...(ignoreConfigKeys && { ignore_config_keys: [...ignoreConfigKeys] }),
    shards: await planRun({
      inputPath: options.inputPath,
      start: options.start ?? 0,
      end: options.end,
      limit: options.limit,
      signal,
    }),
  };
}

/** A finished job whose file is gone would keep its shard from being made again. */
async function removeFinishedJobs(queue: RunQueue, missing: readonly NumberedShard[]): Promise<void> {
  const lost = new Set(missing.map(({ shard }) => jobIdOf(shard)));
  for (const job of await queue.getJobs(['completed'])) if (lost.has(job.id!)) await job.remove();
}

function summaryOf({ id, manifest, file }: Run, missing: number): SubmitSummary {
  const { shards, layers, model, storage } = manifest;
  const sum = (key: 'records' | 'tokens' | 'steps'): number => shards.reduce((total, shard) => total + shard[key], 0);
  return {
    run: id,
    run_file: file,
    shards: shards.length,
    finished: shards.length - missing,
    traces: sum('records'),
    tokens: sum('tokens'),
    steps: sum('steps'),
    bytes: sum('steps') * layers.length * model.hidden_size * STORAGE_BYTES[storage],
  };
}
