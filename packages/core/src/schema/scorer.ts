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

/** What training makes small: binary cross-entropy, or the order of right and wrong steps of one question. */
export const lossSchema = z.enum(['bce', 'pairwise']);

/** How training makes up for one class being rarer: by weight, not at all, or by drawing as many of each. */
export const classBalanceSchema = z.enum(['pos_weight', 'none', 'sample']);

/** What decides which epoch's weights are kept: 0.75 · AUC + 0.25 · F1 over all steps, or the AUC within questions. */
export const selectionSchema = z.enum(['auc_f1', 'within_question']);

/** How the learning rate goes on after its warm-up, to the end of the last epoch. */
export const learningRateScheduleSchema = z.enum(['constant', 'cosine', 'linear']);
export type LearningRateSchedule = z.output<typeof learningRateScheduleSchema>;

const count = z.number().int().positive();

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
  /** The same of the shards that it was validated on, where they lie in a folder of their own. */
  validation_fingerprint: z.string().optional(),
  /** SHA-256 of the file of labels, where they were not the shards' own. */
  labels_fingerprint: z.string().optional(),
  /** What it learned: the labels that steps have in the shards. Where left out, those of traces, or the file's. */
  labels: z.literal('steps').optional(),
  /** What a folder of its own was validated by, where that was not whether its traces are right. */
  validation_labels: z.enum(['steps', 'file']).optional(),
  hidden_size: count,
  /** Layers that stood in the shards, and those that the feature uses, by number as in transformers. */
  layers: z.array(z.number().int().nonnegative()).min(1),
  feature_layers: z.array(z.number().int().nonnegative()).min(1),
  feature: featureSchema,
  /** Width of the scorer's input. */
  input_size: count,
  /** Width of the hidden layer, or of each hidden layer; none is logistic regression. */
  hidden_units: z.union([count, z.array(count)]),
  regions: regionsSchema,
  /** `folder`: nothing was split, validation has shards of its own. */
  split: z.enum([...splitSchema.options, 'folder']),
  seed: z.number().int().nonnegative(),
  step_sample_ratio: z.number().positive().max(1),
  /** Training steps were drawn anew for each epoch. */
  resample_steps: z.boolean().default(false),
  validation_ratio: z.number().positive().lt(1),
  /** Which of how many parts validates, from 1. */
  fold: count.optional(),
  folds: count.optional(),
  /** Traces drawn of all. */
  max_traces: count.optional(),
  epochs: count,
  patience: count,
  batch_size: count,
  lr: z.number().positive(),
  /** Constant where left out. */
  lr_schedule: learningRateScheduleSchema.optional(),
  /** Steps, or below 1 a share of all steps, over which the learning rate rose; none where left out. */
  warmup: z.number().positive().optional(),
  weight_decay: z.number().nonnegative(),
  select: selectionSchema.default('auc_f1'),
  loss: lossSchema.default('bce'),
  class_balance: classBalanceSchema.default('pos_weight'),
  /** Weight of right steps in the loss. */
  pos_weight: z.number().positive(),
  /** Share of hidden units that is left out in each training step. */
  dropout: z.number().nonnegative().lt(1).default(0),
  /** Inputs were brought to mean 0 and variance 1 while training; the saved weights take them as they come. */
  standardise: z.boolean().default(false),
  /** Principal components of the inputs that it was trained on; the saved weights take all inputs. */
  pca: count.optional(),
});

export type ScorerConfig = z.output<typeof scorerConfigSchema>;
