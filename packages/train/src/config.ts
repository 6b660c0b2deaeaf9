import { readFile } from 'node:fs/promises';
import { ScorerError } from '@scorer/core/errors';
import { onFile } from '@scorer/core/files';
import { type ScorerConfig, scorerConfigSchema } from '@scorer/core/schema';
import type { TrainingData } from './data/training-data.js';
import type { TrainSettings } from './options.js';

/** config.json of a run: its settings, and what follows from its data. */
export function scorerConfig(
  settings: TrainSettings,
  { train, source, split, fingerprints, labelledBy }: TrainingData,
): ScorerConfig {
  const { shards, layers } = train.dataset;
  const { model, model_fingerprint, hidden_size } = shards[0]!.metadata;
  const [onlyWidth, ...otherWidths] = settings.hiddenUnits;
  return {
    format: 'scorer.checkpoint',
    version: 1,
    name: settings.configName,
    model,
    model_fingerprint,
    data_fingerprint: fingerprints.data,
    validation_fingerprint: fingerprints.validation,
    labels_fingerprint: fingerprints.labels,
    labels: labelledBy.train === 'steps' ? 'steps' : undefined,
    validation_labels:
      split.kind === 'folder' && labelledBy.validation !== 'traces' ? labelledBy.validation : undefined,
    hidden_size,
    layers: [...layers],
    feature: settings.feature,
    feature_layers: [...source.layers],
    input_size: source.width,
    hidden_units: onlyWidth !== undefined && otherWidths.length === 0 ? onlyWidth : settings.hiddenUnits,
    regions: settings.regions,
    split: split.kind,
    validation_ratio: settings.validationRatio,
    fold: settings.fold?.number,
    folds: settings.fold?.of,
    max_traces: settings.maxTraces,
    seed: settings.seed,
    step_sample_ratio: settings.stepSampleRatio,
    resample_steps: settings.resampleSteps,
    epochs: settings.epochs,
    patience: settings.patience,
    batch_size: settings.batchSize,
    lr: settings.lr,
    lr_schedule: settings.lrSchedule === 'constant' ? undefined : settings.lrSchedule,
    warmup: settings.warmup === 0 ? undefined : settings.warmup,
    weight_decay: settings.weightDecay,
    select: settings.select,
    loss: settings.loss,
    class_balance: settings.classBalance,
    pos_weight: positiveWeight(settings, train.set.targets),
    dropout: settings.dropout,
    standardise: settings.standardise,
    pca: settings.pca,
  };
}

/**
 * Reads the config.json of a run.
 * @throws ScorerError `SCORER_CONFIG_INVALID`, `FILE_NOT_FOUND`
 */
export async function readConfig(path: string): Promise<ScorerConfig> {
  const text = await onFile(path, () => readFile(path, 'utf8'));
  try {
    return scorerConfigSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new ScorerError({
      code: 'SCORER_CONFIG_INVALID',
      what: 'it is not the config.json of a scorer that this version reads',
      where: path,
      hint: 'train again; score and export also take the scorer.safetensors itself',
      cause,
    });
  }
}

/** As the original: wrong steps / right steps; of soft labels, what they add up to. */
function positiveWeight({ loss, classBalance }: TrainSettings, targets: Uint8Array | Float32Array): number {
  if (loss !== 'bce' || classBalance !== 'pos_weight') return 1;
  let right = 0;
  for (const target of targets) right += target;
  return (targets.length - right) / right;
}
