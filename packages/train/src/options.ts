import { deviceWishSchema } from '@scorer/core/onnx';
import {
  classBalanceSchema,
  featureSchema,
  learningRateScheduleSchema,
  lossSchema,
  regionsSchema,
  selectionSchema,
  splitSchema,
} from '@scorer/core/schema';
import { z } from 'zod';
import { parseByteSize } from './data/byte-size.js';
import { overwriteSchema } from './overwrite.js';

/** The defaults are the original's, but for the split and the regions, which are honest ones. */
export const DEFAULTS = {
  configName: 'default_config',
  outDir: '.',
  feature: 'last',
  regions: 'reasoning',
  split: 'question',
  stepLabels: 'use',
  stepSampleRatio: 1,
  resampleSteps: false,
  validationRatio: 0.2,
  memory: '1G',
  hiddenUnits: '512',
  dropout: 0,
  standardise: false,
  loss: 'bce',
  classBalance: 'pos_weight',
  seed: 0,
  epochs: 20,
  patience: 5,
  batchSize: 128,
  lr: 1e-4,
  lrSchedule: 'constant',
  warmup: 0,
  weightDecay: 1e-5,
  device: 'auto',
  engine: 'auto',
  keep: 'all',
} as const;

/** What `--compat original` sets where nothing else is asked for. */
const ORIGINAL = { split: 'step', regions: 'all' } as const;

/** One part of a path: letters, digits and what else a file system takes, but nothing that leads elsewhere. */
const configName = z
  .string()
  .regex(/^[^/\\\p{Cc}]+$/u, 'it is a name, not a path')
  .refine((name) => name !== '.' && name !== '..', 'it is a name, not a path');

const count = z.number().int().positive();

const byteSize = z.union([count, z.string().transform(parseByteSize).pipe(count)], {
  error: 'it is bytes, as in 512M, 2G or 1.5GiB',
});

/** More hidden layers, or wider ones, are a mistake rather than a scorer: training takes many times the parameters. */
const MAX_HIDDEN_LAYERS = 8;
const MAX_HIDDEN_UNITS = 2 ** 16;

/** More than any machine has cores; ONNX Runtime starts as many as it is told, and 100,000 take 10 GB. */
const MAX_THREADS = 1024;
export const threadsSchema = count.max(MAX_THREADS);

/** Widths of the hidden layers: 512, [256, 64] or "256,64"; 0, "none" or [] for logistic regression. */
const hiddenUnits = z
  .union([z.number(), z.array(z.number()), z.string()])
  .transform((value) => {
    if (typeof value !== 'string') return [value].flat();
    return value.trim() === 'none'
      ? []
      : value.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  })
  .transform((widths) => (widths.length === 1 && widths[0] === 0 ? [] : widths))
  .refine((widths) => widths.every((width) => Number.isSafeInteger(width) && width > 0), {
    message: 'it is a width, as 512, or one for each hidden layer, as 256,64, or none',
  })
  .refine((widths) => widths.every((width) => width <= MAX_HIDDEN_UNITS), {
    message: `at most ${MAX_HIDDEN_UNITS} units in a layer`,
  })
  .refine((widths) => widths.length <= MAX_HIDDEN_LAYERS, { message: `at most ${MAX_HIDDEN_LAYERS} hidden layers` });

const trainOptions = z.object({
  /** Folder of shards. */
  trainDir: z.string({ error: 'a folder of shards is needed' }).min(1),
  /** Folder of shards to validate on; nothing is split off the others then. */
  validationDir: z.string().min(1).optional(),
  /** JSONL file with a label for each trace, in place of those in the shards. */
  labels: z.string().min(1).optional(),
  /** Whether labels that steps have in the shards come before those of their traces; a file comes before both. */
  stepLabels: z.enum(['use', 'ignore']).default(DEFAULTS.stepLabels),
  /** Names the folders that the run writes. */
  configName: configName.default(DEFAULTS.configName),
  /** Holds the folders checkpoints/ and plots/. */
  outDir: z.string().min(1).default(DEFAULTS.outDir),
  feature: featureSchema.default(DEFAULTS.feature),
  /** Of `layer_mean`: how many of the last kept layers; all where left out. */
  numLayers: count.optional(),
  /** Of `certain_layer`: the layer's number, as in transformers. */
  layer: z.number().int().nonnegative().optional(),
  regions: regionsSchema.optional(),
  split: splitSchema.optional(),
  /** Share of each trace's steps that is drawn. */
  stepSampleRatio: z.number().positive().max(1).default(DEFAULTS.stepSampleRatio),
  /** Draws the training steps anew for each epoch; those of validation are drawn once. */
  resampleSteps: z.boolean().default(DEFAULTS.resampleSteps),
  /** So many traces are drawn at random; all where left out. */
  maxTraces: count.optional(),
  /** Share of the questions, traces or steps that is kept apart. */
  validationRatio: z.number().positive().lt(1).default(DEFAULTS.validationRatio),
  /** Bytes of hidden states that are held, as a number or with a unit. Decides speed, never a result. */
  memory: byteSize.default(() => parseByteSize(DEFAULTS.memory)!),
  hiddenUnits: hiddenUnits.default(() => [Number(DEFAULTS.hiddenUnits)]),
  /** Share of hidden units left out in each training step. */
  dropout: z.number().nonnegative().lt(1).default(DEFAULTS.dropout),
  /** Brings inputs to mean 0 and variance 1 over the training steps. */
  standardise: z.boolean().default(DEFAULTS.standardise),
  /** Trains on so many principal components of the training steps; on all inputs where left out. */
  pca: count.optional(),
  loss: lossSchema.default(DEFAULTS.loss),
  classBalance: classBalanceSchema.default(DEFAULTS.classBalance),
  seed: z.number().int().nonnegative().default(DEFAULTS.seed),
  epochs: count.default(DEFAULTS.epochs),
  /** Training ends after so many epochs without a better one. */
  patience: count.default(DEFAULTS.patience),
  /** What epochs are compared by; `within_question` by default with the pairwise loss, else `auc_f1`. */
  select: selectionSchema.optional(),
  batchSize: count.default(DEFAULTS.batchSize),
  lr: z.number().positive().default(DEFAULTS.lr),
  /** How the learning rate goes on after its warm-up, over all epochs. */
  lrSchedule: learningRateScheduleSchema.default(DEFAULTS.lrSchedule),
  /** Batches over which the learning rate rises, or below 1 a share of all. */
  warmup: z
    .number()
    .nonnegative()
    .refine((value) => value < 1 || Number.isSafeInteger(value), 'it is a number of batches, or a share below 1')
    .default(DEFAULTS.warmup),
  /** Of Adam, added to the gradient (L2). */
  weightDecay: z.number().nonnegative().default(DEFAULTS.weightDecay),
  device: deviceWishSchema.default(DEFAULTS.device),
  engine: z.enum(['auto', 'onnx', 'tfjs']).default(DEFAULTS.engine),
  /** CPU threads; the runtime's own choice where left out. */
  threads: threadsSchema.optional(),
  /** Which checkpoints of epochs stay: the best one's, those of all that were the best so far, or the last few. */
  keep: z
    .union(
      [
        z.enum(['best', 'all']),
        count,
        z
          .string()
          .regex(/^[1-9]\d{0,8}$/)
          .transform(Number),
      ],
      {
        error: 'it is best, all or a number',
      },
    )
    .default(DEFAULTS.keep),
  /** `replace` starts over where a run stands under this name, instead of going on with it or refusing. */
  overwrite: overwriteSchema,
  /** Split and regions as in the original, where they are not given. */
  compat: z.literal('original').optional(),
});

export const OPTION_NAMES: readonly string[] = Object.keys(trainOptions.shape);

/** Options of `train`, named as the flags of the command. */
export const trainOptionsSchema = trainOptions
  .refine(({ loss, classBalance }) => loss !== 'pairwise' || classBalance !== 'sample', {
    path: ['classBalance'],
    message: 'the pairwise loss compares right with wrong steps, and has no classes to balance',
  })
  .refine(({ resampleSteps, loss, classBalance }) => !resampleSteps || (loss === 'bce' && classBalance !== 'sample'), {
    path: ['resampleSteps'],
    message: 'it goes with --loss bce, and not with --class-balance sample',
  })
  .refine(({ hiddenUnits, dropout }) => dropout === 0 || hiddenUnits.length > 0, {
    path: ['dropout'],
    message: 'without a hidden layer there is nothing to leave out',
  })
  .refine(
    ({ validationDir, split }) => validationDir === undefined || split === undefined || split === DEFAULTS.split,
    {
      path: ['validationDir'],
      message: 'with a folder to validate on nothing is split: leave out --split',
    },
  )
  .transform(({ compat, ...options }) => {
    const { split, regions } = compat === 'original' ? ORIGINAL : DEFAULTS;
    const select = options.loss === 'pairwise' ? ('within_question' as const) : ('auc_f1' as const);
    return {
      ...options,
      split: options.split ?? split,
      regions: options.regions ?? regions,
      select: options.select ?? select,
    };
  });

/** Checked options of one run. */
export type TrainSettings = z.output<typeof trainOptionsSchema> & {
  /** Which of several parts validates, from 1; in place of the ratio. */
  readonly fold?: { readonly number: number; readonly of: number } | undefined;
  /** Folder of the run inside those of its name, where it is one of several. */
  readonly part?: string | undefined;
};
