import type { ScorerConfig } from '@scorer/core/schema';
import type { TrainingData } from './data/training-data.js';
import type { TrainSettings } from './options.js';

/** config.json of a run: its settings, and what follows from its data. */
export function scorerConfig(
  settings: TrainSettings,
  { folder, source, split, fingerprint }: TrainingData,
): ScorerConfig {
  const { model, model_fingerprint, hidden_size } = folder.shards[0]!.metadata;
  const { positives, steps } = split.train;
  return {
    format: 'scorer.checkpoint',
    version: 1,
    name: settings.configName,
    model,
    model_fingerprint,
    data_fingerprint: fingerprint,
    hidden_size,
    layers: [...folder.layers],
    feature: settings.feature,
    feature_layers: [...source.layers],
    input_size: source.width,
    hidden_units: settings.hiddenUnits,
    regions: settings.regions,
    split: settings.split,
    validation_ratio: settings.validationRatio,
    seed: settings.seed,
    step_sample_ratio: settings.stepSampleRatio,
    epochs: settings.epochs,
    patience: settings.patience,
    batch_size: settings.batchSize,
    lr: settings.lr,
    weight_decay: settings.weightDecay,
    pos_weight: (steps - positives) / positives,
  };
}
