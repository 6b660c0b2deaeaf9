import { ScorerError } from '@scorer/core/errors';
import type { ShardDataset } from '@scorer/core/shards';
import { type FeatureSource, featureSource } from '../data/features.js';
import type { Scorer } from '../scorer.js';

/**
 * The rows that a scorer reads, made as in its training: of the very layers that it learned from, whichever others the
 * shards keep. A bare file of weights, which does not say, gets the last layer.
 * @throws ScorerError `MODEL_MISMATCH`, `LAYER_NOT_KEPT`, `SCORER_DOES_NOT_FIT`
 */
export function featureOfScorer({ config, inputSize }: Scorer, dataset: ShardDataset): FeatureSource {
  if (!config) return fitting(featureSource(dataset, { feature: 'last' }), inputSize, dataset);
  const { model, model_fingerprint } = dataset.shards[0]!.metadata;
  if (model_fingerprint !== config.model_fingerprint) {
    const [trained, given] = [config.model_fingerprint, model_fingerprint].map((digest) => digest.slice(0, 12));
    throw new ScorerError({
      code: 'MODEL_MISMATCH',
      what: `the scorer reads hidden states of ${config.model} (${trained}…), these are of ${model} (${given}…)`,
      where: dataset.path,
      hint: 'extract with that model; if you know the two to be one model, name scorer.safetensors, not its folder',
    });
  }
  const missing = config.feature_layers.filter((layer) => !dataset.layers.includes(layer));
  if (missing.length > 0) {
    throw new ScorerError({
      code: 'LAYER_NOT_KEPT',
      what: `the scorer reads layers ${config.feature_layers.join(', ')}; the shards do not keep ${missing.join(', ')}`,
      where: dataset.path,
      hint: `extract again with --layers ${config.feature_layers.join(',')}`,
    });
  }
  const { feature, feature_layers: layers } = config;
  const choice = { feature, layer: feature === 'certain_layer' ? layers[0] : undefined };
  return fitting(featureSource({ ...dataset, layers }, choice), inputSize, dataset);
}

function fitting(source: FeatureSource, inputSize: number, { path }: ShardDataset): FeatureSource {
  if (source.width === inputSize) return source;
  throw new ScorerError({
    code: 'SCORER_DOES_NOT_FIT',
    what: `the scorer reads ${inputSize} numbers a step, the shards give ${source.width}`,
    where: path,
    hint: 'it was trained on another model or feature',
  });
}
