import { createHash } from 'node:crypto';
import { ScorerError } from '@scorer/core/errors';
import { openShardFolder, type ShardFolder } from '@scorer/core/shards';
import type { TrainSettings } from '../options.js';
import type { SplitSummary } from '../result.js';
import { type FeatureSource, featureSource } from './features.js';
import { selectSteps } from './rows.js';
import { type StepSet, splitSteps } from './split.js';

/** A folder of shards, made ready to train on. */
export interface TrainingData {
  readonly folder: ShardFolder;
  readonly source: FeatureSource;
  readonly train: StepSet;
  readonly validation: StepSet;
  readonly split: SplitSummary;
  readonly tracesWithoutSteps: number;
  /** SHA-256 over the checksums of the shards. */
  readonly fingerprint: string;
  close(): Promise<void>;
}

/**
 * Opens the shards, chooses the steps and splits them.
 * @throws ScorerError `NO_SHARDS`, `SHARDS_DISAGREE`, `LAYER_NOT_KEPT`, `NO_STEPS`, `VALIDATION_EMPTY`, `ONE_CLASS`
 */
export async function openTrainingData(settings: TrainSettings): Promise<TrainingData> {
  const folder = await openShardFolder(settings.trainDir);
  try {
    const source = featureSource(folder, settings);
    const steps = await selectSteps(folder, settings);
    if (steps.rows.length === 0) throw noSteps(settings);
    const { train, validation, summary } = splitSteps(steps, settings);
    checkSides(summary, settings);
    return {
      folder,
      source,
      train,
      validation,
      split: summary,
      tracesWithoutSteps: steps.tracesWithoutSteps,
      fingerprint: fingerprint(folder),
      close: () => folder.close(),
    };
  } catch (error) {
    await folder.close();
    throw error;
  }
}

function fingerprint({ shards }: ShardFolder): string {
  const hash = createHash('sha256');
  for (const { metadata } of shards) hash.update(metadata.data_sha256);
  return hash.digest('hex');
}

function noSteps({ trainDir, regions }: TrainSettings): ScorerError {
  const hint =
    regions === 'reasoning'
      ? 'with --regions all the steps inside the prompts count as well'
      : 'a step ends with a blank line; check extracted_position in the step records';
  return new ScorerError({ code: 'NO_STEPS', what: 'no trace has a step to learn from', where: trainDir, hint });
}

function checkSides({ kind, train, validation }: SplitSummary, { trainDir }: TrainSettings): void {
  if (train.steps === 0 || validation.steps === 0) {
    throw new ScorerError({
      code: 'VALIDATION_EMPTY',
      what: `too few ${kind}s to set some apart for validation`,
      where: trainDir,
      hint: 'extract more, or split by trace or step',
    });
  }
  if (train.positives === 0 || train.positives === train.steps) {
    throw new ScorerError({
      code: 'ONE_CLASS',
      what: `all ${train.steps} training steps are of ${train.positives === 0 ? 'wrong' : 'right'} traces`,
      where: trainDir,
      hint: 'a scorer learns from right and wrong traces; check is_correct in the step records',
    });
  }
}
