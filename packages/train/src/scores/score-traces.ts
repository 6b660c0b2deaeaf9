import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type OnProgress, parseOptions } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { sha256File } from '@scorer/core/files';
import { type Device, deviceKind, deviceWishSchema, resolveDevice } from '@scorer/core/onnx';
import { type Regions, regionsSchema } from '@scorer/core/schema';
import { openShardDataset, type Shard, type ShardDataset } from '@scorer/core/shards';
import { z } from 'zod';
import { FILES } from '../checkpoint.js';
import { dataFingerprint } from '../data/training-data.js';
import { threadsSchema } from '../options.js';
import { overwriteSchema, refuseInput } from '../overwrite.js';
import { loadScorer, type Scorer } from '../scorer.js';
import { aggregationNameSchema, parseAggregation } from './aggregate.js';
import { CONFIDENCE_DEFAULTS, type ConfidenceWindows } from './confidence.js';
import { featureOfScorer } from './feature-of-scorer.js';
import { type HeldOut, readHeldOut } from './held-out.js';
import { readRejectedTraces } from './rejected-traces.js';
import { type Scoring, scoreShard } from './score-shard.js';
import type { ScoredTrace } from './scored-trace.js';
import { openScoresOutput, type ScoreJob, type ScoresOutput } from './scores-output.js';

/** Options of `scoreTraces`, named as the flags of the command. */
export const scoreOptionsSchema = z.object({
  /** Checkpoint folder, or a bare .safetensors file with a scorer's tensors. */
  scorer: z.string().min(1),
  /** Folder of shards. */
  inputDir: z.string().min(1),
  /** JSONL, one scored trace a line. */
  outputFile: z.string().min(1),
  /** Which steps are scored; where left out those that the scorer was trained on, `reasoning` for a bare file. */
  regions: regionsSchema.optional(),
  /** How the step scores become the trace's: `mean`, `last`, `min`, `product`, `exp_mean:0.9`, `last_k:8`. */
  aggregate: aggregationNameSchema.default('mean'),
  /** Where tokens have a confidence: how many are a group of DeepConf's, and how many the tail. */
  confidenceWindow: z.number().int().positive().default(CONFIDENCE_DEFAULTS.window),
  confidenceTail: z.number().int().positive().default(CONFIDENCE_DEFAULTS.tail),
  /**
   * Which traces are scored: `validation`, those that the scorer was validated on; or those that another scorer was,
   * by the path of its split.json. All of them where left out.
   */
  only: z.string().min(1).optional(),
  /** Rejects files of preprocessing, whose traces are added without score. */
  rejects: z.array(z.string().min(1)).default([]),
  device: deviceWishSchema.default('auto'),
  /** CPU threads; the runtime's own choice where left out. */
  threads: threadsSchema.optional(),
  /** `replace` makes an output anew that stands already. */
  overwrite: overwriteSchema,
});

type ScoreSettings = z.output<typeof scoreOptionsSchema> & { device: Device };

export interface ScoreHooks {
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
  /** Called before the first trace with what a user should know of scorer and data. */
  onWarning?: ((message: string) => void) | undefined;
}

export type ScoreOptions = z.input<typeof scoreOptionsSchema> & ScoreHooks;

const scoreCountsSchema = z.object({
  /** Traces with steps or without, the refused ones not counted. */
  traces: z.number(),
  right: z.number(),
  steps: z.number(),
  tracesWithoutSteps: z.number(),
  /** Traces that preprocessing refused, added without score. */
  rejected: z.number(),
  /** Refused lines that name no question and were left out. */
  rejectsWithoutQuestion: z.number(),
});

type ScoreCounts = z.output<typeof scoreCountsSchema>;

/** What `scoreTraces` returns. */
export interface ScoreResult extends ScoreCounts {
  readonly outputFile: string;
  readonly aggregate: string;
  readonly regions: Regions;
  /** The output had been made before. */
  readonly repeated: boolean;
}

/**
 * Scores every step of a folder of shards, and writes one line a trace (docs/evaluation.md). Memory does not grow with
 * the folder. A run that was stopped goes on after its last whole line, with the same bytes as one that was not.
 * @throws ScorerError the codes of `loadScorer` and `openShardDataset`, `MODEL_MISMATCH`, `LAYER_NOT_KEPT`,
 * `SCORER_DOES_NOT_FIT`, `SCORE_NOT_FINITE`, `OUTPUT_EXISTS`, `OUTPUT_IS_INPUT` (usage), `OUTPUT_LOCKED` (retryable),
 * `BAD_OPTION` (usage), `ONNXRUNTIME_MISSING`, `CUDA_UNAVAILABLE`
 */
export async function scoreTraces(options: ScoreOptions): Promise<ScoreResult> {
  const settings = parseOptions(scoreOptionsSchema, options);
  const device = await resolveDevice(settings.device);
  const scorer = await loadScorer(settings.scorer, { device, threads: settings.threads });
  try {
    const dataset = await openShardDataset(settings.inputDir);
    try {
      return await scoreDataset(dataset, scorer, { ...settings, device }, options);
    } finally {
      await dataset.close();
    }
  } finally {
    await scorer.close();
  }
}

async function scoreDataset(
  dataset: ShardDataset,
  scorer: Scorer,
  settings: ScoreSettings,
  hooks: ScoreHooks,
): Promise<ScoreResult> {
  const { only } = settings;
  const inputs = [settings.scorer, join(settings.scorer, FILES.scorer), ...settings.rejects];
  await refuseInput(settings.outputFile, [...inputs, ...dataset.shards.map(({ path }) => path)]);
  const heldOut = only === undefined ? undefined : await readHeldOut(only, settings.scorer, dataset);
  const scoring: Scoring = {
    scorer,
    source: featureOfScorer(scorer, dataset),
    regions: settings.regions ?? scorer.config?.regions ?? 'reasoning',
    aggregation: parseAggregation(settings.aggregate)!,
    windows: { window: settings.confidenceWindow, tail: settings.confidenceTail },
    isWanted: heldOut?.isHeldOut ?? (() => true),
  };
  for (const warning of warnings(scorer, { ...scoring, dataset, heldOut })) hooks.onWarning?.(warning);
  const output = await openScoresOutput(settings.outputFile, {
    job: await describeJob(dataset, scoring, heldOut, settings),
    resultSchema: scoreCountsSchema,
    overwrite: settings.overwrite,
  });
  try {
    const counts = output.finished ?? (await writeScores(output, dataset, scoring, { ...hooks, ...settings }));
    if (!output.finished) await output.commit(counts);
    const { outputFile, aggregate } = settings;
    return { ...counts, outputFile, aggregate, regions: scoring.regions, repeated: output.finished !== undefined };
  } catch (error) {
    if (error instanceof ScorerError && error.kind !== 'retryable') await output.discard();
    throw error;
  } finally {
    await output.close();
  }
}

/** The main path: what stands already, then shard by shard the rest, then the refused traces. */
async function writeScores(
  output: ScoresOutput<ScoreCounts>,
  dataset: ShardDataset,
  scoring: Scoring,
  { rejects, only, signal, onProgress }: ScoreSettings & ScoreHooks,
): Promise<ScoreCounts> {
  const wanted = dataset.shards.map((shard) => wantedTraces(shard, scoring).length);
  const total = wanted.reduce((sum, count) => sum + count, 0);
  const counts = { ...NOTHING };
  for await (const trace of output.earlierTraces()) count(trace, counts, { total });

  let passed = 0;
  for (const [k, shard] of dataset.shards.entries()) {
    const skip = Math.min(counts.traces - passed, wanted[k]!);
    passed += wanted[k]!;
    if (skip === wanted[k]) continue;
    for await (const traces of scoreShard(shard, scoring, { firstRow: dataset.rowOffsets[k]!, skip })) {
      signal?.throwIfAborted();
      await output.append(traces);
      for (const trace of traces) count(trace, counts, { total });
      onProgress?.({ stage: 'scoring', done: counts.traces, total, unit: 'traces' });
    }
  }

  // All of the traces stand: what comes now is the refused ones.
  const questions = only === undefined ? undefined : await wantedQuestions(dataset, scoring);
  let skip = counts.rejected;
  for (const path of rejects) {
    for await (const trace of readRejectedTraces(path, { signal })) {
      if (!trace) counts.rejectsWithoutQuestion += 1;
      if (!trace || questions?.has(trace.question) === false || skip-- > 0) continue;
      await output.append([trace]);
      count(trace, counts, { total });
    }
  }
  return counts;
}

const NOTHING: ScoreCounts = {
  traces: 0,
  right: 0,
  steps: 0,
  tracesWithoutSteps: 0,
  rejected: 0,
  rejectsWithoutQuestion: 0,
};

/** Counts a trace: one of the `total` of the shards, or after them one that was refused. */
function count({ is_correct, step_scores }: ScoredTrace, counts: ScoreCounts, { total }: { total: number }): void {
  if (counts.traces === total) {
    counts.rejected += 1;
    return;
  }
  counts.traces += 1;
  counts.right += Number(is_correct);
  counts.steps += step_scores.length;
  counts.tracesWithoutSteps += Number(step_scores.length === 0);
}

/** Numbers of the traces of a shard that are to be scored. */
function wantedTraces(shard: Shard, { isWanted }: Scoring): number[] {
  return Array.from(shard.labels.keys()).filter((trace) => isWanted(shard, trace));
}

async function wantedQuestions({ shards }: ShardDataset, scoring: Scoring): Promise<Set<string>> {
  const questions = new Set<string>();
  for (const shard of shards) {
    const texts = await shard.text('question');
    for (const trace of wantedTraces(shard, scoring)) questions.add(texts[trace]!);
  }
  return questions;
}

async function describeJob(
  { shards }: ShardDataset,
  { source, regions, windows }: Scoring,
  heldOut: HeldOut | undefined,
  { scorer, aggregate, rejects, device }: ScoreSettings,
): Promise<ScoreJob> {
  const isFolder = (await stat(scorer)).isDirectory();
  return {
    scorer: await sha256File(isFolder ? join(scorer, FILES.scorer) : scorer),
    layers: source.layers,
    shards: shards.map(({ path, metadata }) => [basename(path), metadata.data_sha256]),
    regions,
    aggregate,
    ...(hasConfidence(shards) && { confidence: windows }),
    rejects: await Promise.all(rejects.map(async (path) => [basename(path), await sha256File(path)])),
    only: heldOut?.fingerprint ?? null,
    device: deviceKind(device),
  };
}

function hasConfidence(shards: readonly Shard[]): boolean {
  return shards.some(({ confidenceTopK }) => confidenceTopK !== undefined);
}

interface WarningFacts {
  readonly regions: Regions;
  readonly windows: ConfidenceWindows;
  readonly dataset: ShardDataset;
  readonly heldOut: HeldOut | undefined;
}

/** What a user should know before the scores are used. */
function* warnings({ config }: Scorer, { regions, windows, dataset, heldOut }: WarningFacts): Generator<string> {
  const { shards } = dataset;
  const isShort = (tokens: number): boolean => tokens < windows.window;
  if (hasConfidence(shards) && shards.every(({ tokenCounts }) => tokenCounts.every(isShort))) {
    yield `no trace has ${windows.window} tokens, so that its group confidences are its mean: give a smaller --confidence-window`;
  }
  if (!config) {
    yield `the file does not say what the scorer reads: taken are the last layer and the steps of --regions ${regions}`;
    return;
  }
  if (regions !== config.regions) {
    yield `the scorer was trained on --regions ${config.regions}, and scores ${regions}`;
  }
  if (!heldOut?.isOwn && config.data_fingerprint === dataFingerprint(dataset)) {
    yield 'the scorer was trained on part of these traces; --only validation scores those that were kept apart';
  }
  if (heldOut?.isOwn && heldOut.kind === 'step') {
    yield 'the scorer was split by step: it was trained on other steps of the traces that validated it';
  }
}
