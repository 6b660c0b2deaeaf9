import { z } from 'zod';

/** Which features of a step the scorer reads. */
export const featureSchema = z.enum(['last', 'layer_mean', 'concat', 'certain_layer']);
export type Feature = z.output<typeof featureSchema>;

/** Which steps count: those of the model's own reasoning, or also those inside the prompt (as the original). */
export const regionsSchema = z.enum(['reasoning', 'all']);
export type Regions = z.output<typeof regionsSchema>;

/** What is kept apart in validation. `step` leaks: steps of one trace stand on both sides. */
export const splitSchema = z.enum(['question', 'trace', 'step']);
export type Split = z.output<typeof splitSchema>;

/** `config.json` of a checkpoint folder: all that is needed to score with it, and to know how it came about. */
export const scorerConfigSchema = z.object({
  format: z.literal('scorer.checkpoint'),
  version: z.literal(1),
  name: z.string(),
  /** Base name and fingerprint of the model whose hidden states it reads. */
  model: z.string(),
  model_fingerprint: z.string(),
  /** SHA-256 over the `data_sha256` of the shards that it was trained on, in the order of their names. */
  data_fingerprint: z.string(),
  hidden_size: z.number().int().positive(),
  /** Layers that stood in the shards, and those that the feature uses, by number as in transformers. */
  layers: z.array(z.number().int().nonnegative()).min(1),
  feature_layers: z.array(z.number().int().nonnegative()).min(1),
  feature: featureSchema,
  /** Width of the scorer's input. */
  input_size: z.number().int().positive(),
  /** Width of the hidden layer. */
  hidden_units: z.number().int().positive(),
  regions: regionsSchema,
  split: splitSchema,
  seed: z.number().int().nonnegative(),
  step_sample_ratio: z.number().positive().max(1),
  validation_ratio: z.number().positive().lt(1),
  epochs: z.number().int().positive(),
  patience: z.number().int().positive(),
  batch_size: z.number().int().positive(),
  lr: z.number().positive(),
  weight_decay: z.number().nonnegative(),
  pos_weight: z.number().positive(),
});

export type ScorerConfig = z.output<typeof scorerConfigSchema>;
