import type { OnProgress } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import type { Device } from '@scorer/core/onnx';
import { type ExtractOptions, extract, type LayerGroupCount } from '@scorer/hidden-states';
import type { ShardResult } from '../queue/run-queue.js';
import { type ManifestShard, type Run, shardPath } from '../run/manifest.js';
import { inspectShard, outputDiffers } from '../run/shard-file.js';
import { openAttempt, removeAttempts } from './attempt.js';
import { copyLines } from './lines.js';

export interface MakeShardOptions {
  run: Run;
  shard: ManifestShard;
  /** Id of the worker. */
  worker: string;
  /** Step records. */
  input: string;
  /** Folder of the model. */
  model: string;
  device: Device;
  threads: number | undefined;
  /** As of `extract`. */
  layerGroups?: LayerGroupCount | undefined;
  openDecoder: NonNullable<ExtractOptions['openDecoder']>;
  /** Bytes for the pass, the model included; where it is left out, those that the card has. */
  availableMemory?: number | undefined;
  /** Share of a shard's traces that may fail; more of them speak of the machine, or of the whole input. */
  maxShardFailures: number;
  signal: AbortSignal;
  onProgress: OnProgress;
  onInfo?: ((message: string) => void) | undefined;
  onWarning: (message: string) => void;
}

/**
 * Makes one shard, or finds that it is there: at least once, and with the same bytes each time.
 * @throws ScorerError `ATTEMPT_REMOVED` (retryable), `OUTPUT_DIFFERS` (usage), `INPUT_CHANGED`, the codes of `extract`
 */
export async function makeShard(options: MakeShardOptions): Promise<ShardResult> {
  const { run, shard, worker, signal, maxShardFailures } = options;
  const { manifest } = run;
  const found = await finishedShard(run, shard);
  if (found) return found;

  const attempt = await openAttempt(run, shard, worker);
  try {
    await extract({
      model: options.model,
      inputPath: await copyLines(options.input, shard, attempt.folder, signal),
      firstLine: shard.start,
      start: shard.start,
      end: shard.end,
      shardSize: shard.end - shard.start,
      outputPath: attempt.outputPath,
      // What an attempt of other settings left here is of no use.
      overwrite: 'replace',
      layers: manifest.layers.join(),
      storage: manifest.storage,
      confidence: manifest.confidence_top_k === undefined ? undefined : { topK: manifest.confidence_top_k },
      compute: manifest.dtype,
      ignoreConfigKeys: manifest.ignore_config_keys,
      device: options.device,
      threads: options.threads,
      layerGroups: options.layerGroups,
      openDecoder: options.openDecoder,
      availableMemory: options.availableMemory,
      maxFailures: { count: Math.max(1, Math.ceil(maxShardFailures * shard.records)) },
      signal,
      onProgress: options.onProgress,
      onInfo: options.onInfo,
      onWarning: options.onWarning,
    });
    signal.throwIfAborted();
    const status = await attempt.publish();
    const result = await finishedShard(run, shard);
    if (!result) throw removed(shardPath(run, shard));
    return { ...result, status };
  } catch (error) {
    // Whoever finishes a shard clears away all attempts at it, also those that are still at work.
    const finished = await finishedShard(run, shard);
    if (finished) return finished;
    if (!(await attempt.stands())) throw removed(attempt.folder, error);
    throw error;
  }
}

/** The shard where it is there; then no attempt at it is needed any more, be it of one that died after publishing it. */
async function finishedShard(run: Run, shard: ManifestShard): Promise<ShardResult | undefined> {
  const file = await inspectShard(run, shard);
  if (file.state === 'missing') return undefined;
  if (file.state === 'done') {
    await removeAttempts(shardPath(run, shard));
    const { traces, steps } = file;
    return { traces, steps, failures: shard.records - traces, status: 'kept' };
  }
  throw outputDiffers(file.difference, shardPath(run, shard));
}

function removed(where: string, cause?: unknown): ScorerError {
  const what = 'the shard or the attempt at it was removed by another';
  return new ScorerError({ code: 'ATTEMPT_REMOVED', kind: 'retryable', what, where, hint: 'it is tried again', cause });
}
