import { dirname } from 'node:path';
import type { OnProgress } from '@scorer/core/cli';
import { makeFolder } from '@scorer/core/files';
import { deviceKind } from '@scorer/core/onnx';
import type { ShardOrigin } from '@scorer/core/schema';
import { openShardWriter } from '@scorer/core/shards';
import { loadTokenizer, type ScorerTokenizer } from '@scorer/core/tokenizer';
import type { Decoder, DecoderOptions } from '../decoder/decoder.js';
import type { LayerGroupCount } from '../memory/layer-groups.js';
import { planMemory, type RunMemory, type RunMemoryOptions } from '../memory/plan-memory.js';
import { type AnyModel, loadAnyModel, openAnyDecoder } from '../model/any-model.js';
import { type ExtractionPlan, type PlanOptions, planExtraction } from './plan/plan-extraction.js';
import type { PlannedShard } from './plan/plan-shards.js';
import { createRunProgress, type ExtractEvent, type RunProgress } from './run-progress.js';
import { extractShard, type MadeShard } from './shard/extract-shard.js';
import { createFailureBudget, DEFAULT_MAX_FAILURES, type FailureLimit } from './shard/failures.js';
import { openRecords } from './shard/records.js';
import type { ShardRun } from './shard/shard-run.js';
import { type ExtractSummary, summarize } from './summary.js';

export interface ExtractOptions extends PlanOptions {
  /** Hugging Face model folder, the id of a hub model, or an .onnx file. */
  model: string;
  /** Branch, tag or commit of a hub model; `main` by default. */
  revision?: string | undefined;
  /** Keys of config.json that are not known and shall not stop the run. */
  ignoreConfigKeys?: readonly string[] | undefined;
  maxFailures?: FailureLimit;
  threads?: number | undefined;
  /**
   * Groups of layers, one of which is in memory at a time, for models that do not fit; the bytes stay the same. 1 by
   * default: all layers at once.
   */
  layerGroups?: LayerGroupCount | undefined;
  /** Bytes that the pass may use on the device; by default what is free on the CPU, or what the card has. */
  availableMemory?: number | undefined;
  onProgress?: OnProgress | undefined;
  /** Takes what happens, trace by trace. */
  onEvent?: ((event: ExtractEvent) => void) | undefined;
  /** Takes what the run will need, before it begins. */
  onInfo?: ((message: string) => void) | undefined;
  /** Where the decoder comes from: of a caller that keeps one for several ranges. Closed at the end of each. */
  openDecoder?: (model: AnyModel, options: DecoderOptions) => Promise<Decoder>;
}

/**
 * Runs every step record of a range through a decoder and writes the hidden states at the step ends into shards.
 * A finished shard is kept, an unfinished one goes on after its last stored trace.
 * @throws ScorerError `TOO_MANY_FAILURES`, and the codes of the parts: model, tokenizer, `planExtraction`, `planMemory`,
 * ONNX Runtime, shard writer
 */
export async function extract(options: ExtractOptions): Promise<ExtractSummary> {
  const { revision, ignoreConfigKeys: ignoreKeys, signal, onProgress } = options;
  const model = await loadAnyModel(options.model, { ignoreKeys, revision, signal, onProgress });
  const tokenizer = await loadTokenizer(model.folder);
  const plan = await planExtraction(model, options);
  const memory = plan.missing.length > 0 ? planMemory(model, memoryOptions(plan, options)) : undefined;
  const progress = createRunProgress(plan, options);
  progress.started(model.name, memory?.figures ?? null);
  const made = memory ? await makeShards({ model, tokenizer, plan, memory, progress }, options) : undefined;
  const summary = summarize(model.name, plan, made);
  progress.finished(summary);
  return summary;
}

function memoryOptions(plan: ExtractionPlan, options: ExtractOptions): RunMemoryOptions {
  const { contents, confidence, device, longest } = plan;
  const { layerGroups = 1, outputPath, availableMemory, onInfo } = options;
  const { layers, compute } = contents;
  return { layers, confidence, compute, device, layerGroups, longest, outputPath, availableMemory, onInfo };
}

interface PlannedRun {
  model: AnyModel;
  tokenizer: ScorerTokenizer;
  plan: ExtractionPlan;
  memory: RunMemory;
  progress: RunProgress;
}

/** Loads the decoder and makes the missing shards, one after the other. */
async function makeShards(
  { model, tokenizer, plan, memory, progress }: PlannedRun,
  options: ExtractOptions,
): Promise<Map<PlannedShard, MadeShard>> {
  const { contents, confidence, device } = plan;
  const { layers, storage, compute, fingerprint } = contents;
  const { inputPath, outputPath, firstLine, threads, overwrite = 'refuse', signal } = options;
  await makeFolder(dirname(outputPath));
  const { grouping, fits } = memory;
  const openDecoder = options.openDecoder ?? openAnyDecoder;
  const decoder = await openDecoder(model, { layers, storage, confidence, compute, device, threads, grouping });
  const records = openRecords(inputPath, { firstLine, logprobsTopK: plan.logprobsTopK, signal });
  const budget = createFailureBudget(options.maxFailures ?? DEFAULT_MAX_FAILURES, plan.traces);
  const run: ShardRun = { tokenizer, fits, decoder, confidence, storage, budget, progress, signal };
  const origin = {
    model: model.name,
    model_fingerprint: fingerprint,
    dtype: compute,
    device: deviceKind(device),
    runtime: decoder.runtime,
    confidence_from: contents.confidenceFrom,
  };
  const made = new Map<PlannedShard, MadeShard>();
  progress.computing();
  try {
    for (const shard of plan.missing) {
      const metadata: ShardOrigin = { ...origin, input_fingerprint: shard.fingerprint };
      const writer = await openShardWriter(shard.path, { ...contents, metadata, overwrite });
      made.set(shard, await extractShard(shard, records.range(shard.start, shard.end), writer, run));
    }
    return made;
  } finally {
    await records.close();
    await decoder.close();
  }
}
