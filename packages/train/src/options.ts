import { featureSchema, regionsSchema, splitSchema } from '@scorer/core/schema';
import { z } from 'zod';

/** The defaults are the original's, but for the split and the regions, which are honest ones. */
export const DEFAULTS = {
  configName: 'default_config',
  outDir: '.',
  feature: 'last',
  regions: 'reasoning',
  split: 'question',
  stepSampleRatio: 1,
  validationRatio: 0.2,
  hiddenUnits: 512,
  seed: 0,
  epochs: 20,
  patience: 5,
  batchSize: 128,
  lr: 1e-4,
  weightDecay: 1e-5,
  device: 'auto',
  engine: 'auto',
  overwrite: false,
} as const;

/** What `--compat original` sets where nothing else is asked for. */
const ORIGINAL = { split: 'step', regions: 'all' } as const;

/** One part of a path: letters, digits and what else a file system takes, but nothing that leads elsewhere. */
const configName = z
  .string()
  .regex(/^[^/\\\p{Cc}]+$/u, 'it is a name, not a path')
  .refine((name) => name !== '.' && name !== '..', 'it is a name, not a path');

const count = z.number().int().positive();

/** Options of `train`, named as the flags of the command. */
export const trainOptionsSchema = z
  .object({
    /** Folder of shards. */
    trainDir: z.string().min(1),
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
    /** Share of the questions, traces or steps that is kept apart. */
    validationRatio: z.number().positive().lt(1).default(DEFAULTS.validationRatio),
    hiddenUnits: count.default(DEFAULTS.hiddenUnits),
    seed: z.number().int().nonnegative().default(DEFAULTS.seed),
    epochs: count.default(DEFAULTS.epochs),
    /** Training ends after so many epochs without a better one. */
    patience: count.default(DEFAULTS.patience),
    batchSize: count.default(DEFAULTS.batchSize),
    lr: z.number().positive().default(DEFAULTS.lr),
    /** Of Adam, added to the gradient (L2). */
    weightDecay: z.number().nonnegative().default(DEFAULTS.weightDecay),
    device: z.enum(['auto', 'cpu', 'cuda']).default(DEFAULTS.device),
    engine: z.enum(['auto', 'onnx', 'tfjs']).default(DEFAULTS.engine),
    /** CPU threads; the runtime's own choice where left out. */
    threads: count.optional(),
    /** Starts over where a run stands under this name, instead of going on with it or refusing. */
    overwrite: z.boolean().default(DEFAULTS.overwrite),
    /** Split and regions as in the original, where they are not given. */
    compat: z.literal('original').optional(),
  })
  .transform(({ compat, ...options }) => {
    const { split, regions } = compat === 'original' ? ORIGINAL : DEFAULTS;
    return { ...options, split: options.split ?? split, regions: options.regions ?? regions };
  });

export type TrainSettings = z.output<typeof trainOptionsSchema>;
