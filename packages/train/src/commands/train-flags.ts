import type { Command } from '@scorer/core/cli';
import { DEFAULTS } from '../options.js';

/** Flags of every command that trains. The schema has the defaults, so that what is not given can come from a file. */
export const TRAIN_FLAGS: Command['options'] = {
  'train-dir': { type: 'string', describe: 'Folder of shards (*.safetensors); needed' },
  'validation-dir': { type: 'string', describe: 'Folder of shards to validate on; nothing is split off then' },
  labels: { type: 'string', describe: "JSONL of labels by trace or by step, 0 to 1, in place of the shards' own" },
  'step-labels': {
    choices: ['use', 'ignore'],
    defaultDescription: String(DEFAULTS.stepLabels),
    describe: 'Whether labels that steps have in the shards come before those of their traces',
  },
  'config-name': {
    type: 'string',
    defaultDescription: String(DEFAULTS.configName),
    describe: 'Names the folders of the run',
  },
  'out-dir': {
    type: 'string',
    defaultDescription: String(DEFAULTS.outDir),
    describe: 'Folder for checkpoints/ and plots/',
  },
  split: {
    choices: ['question', 'trace', 'step'],
    describe: `What validation is made of; default: ${DEFAULTS.split}. trace and step leak`,
  },
  regions: {
    choices: ['reasoning', 'all'],
    describe: `Steps of the reasoning, or also those in the prompt; default: ${DEFAULTS.regions}`,
  },
  'step-sample-ratio': {
    type: 'number',
    defaultDescription: String(DEFAULTS.stepSampleRatio),
    describe: "Share of each trace's steps",
  },
  'resample-steps': {
    type: 'boolean',
    defaultDescription: String(DEFAULTS.resampleSteps),
    describe: 'Draw that share anew for each epoch; needs memory or disk for all steps',
  },
  'max-traces': { type: 'number', describe: 'So many traces, drawn at random; default: all' },
  'validation-ratio': {
    type: 'number',
    defaultDescription: String(DEFAULTS.validationRatio),
    describe: 'Share kept for validation',
  },
  memory: {
    type: 'string',
    defaultDescription: String(DEFAULTS.memory),
    describe: 'For hidden states, as 512M or 2G; no result depends on it',
  },
  'hidden-units': {
    type: 'string',
    defaultDescription: String(DEFAULTS.hiddenUnits),
    describe: 'Width of the hidden layer, or of several (256,64); none or 0: logistic regression',
  },
  dropout: {
    type: 'number',
    defaultDescription: String(DEFAULTS.dropout),
    describe: 'Share of hidden units left out in each step',
  },
  standardise: {
    type: 'boolean',
    defaultDescription: String(DEFAULTS.standardise),
    describe: 'Inputs to mean 0 and variance 1',
  },
  pca: { type: 'number', describe: 'Train on so many principal components of the inputs' },
  loss: {
    choices: ['bce', 'pairwise'],
    defaultDescription: String(DEFAULTS.loss),
    describe: 'bce: right or wrong. pairwise: right above wrong within a question',
  },
  'class-balance': {
    choices: ['pos_weight', 'none', 'sample'],
    defaultDescription: String(DEFAULTS.classBalance),
    describe: 'bce: weigh right steps by wrong/right, or not, or draw as many of each',
  },
  seed: {
    type: 'number',
    defaultDescription: String(DEFAULTS.seed),
    describe: 'Of split, sampling, initial weights and shuffling',
  },
  epochs: {
    type: 'number',
    defaultDescription: String(DEFAULTS.epochs),
    describe: 'Most passes over the training steps',
  },
  patience: {
    type: 'number',
    defaultDescription: String(DEFAULTS.patience),
    describe: 'Epochs without gain before it stops',
  },
  select: {
    choices: ['auc_f1', 'within_question'],
    describe: 'What epochs are compared by: 0.75 AUC + 0.25 F1, or (default with pairwise) AUC within questions',
  },
  'batch-size': { type: 'number', defaultDescription: String(DEFAULTS.batchSize), describe: 'Steps in a minibatch' },
  lr: { type: 'number', defaultDescription: String(DEFAULTS.lr), describe: 'Learning rate of Adam' },
  'lr-schedule': {
    choices: ['constant', 'cosine', 'linear'],
    defaultDescription: String(DEFAULTS.lrSchedule),
    describe: 'How it goes on to the last of --epochs: cosine and linear fall to 0',
  },
  warmup: {
    type: 'number',
    defaultDescription: String(DEFAULTS.warmup),
    describe: 'Minibatches over which it rises from 0, or a share of all (0.05)',
  },
  'weight-decay': {
    type: 'number',
    defaultDescription: String(DEFAULTS.weightDecay),
    describe: 'L2 term, added to the gradient',
  },
  device: {
    type: 'string',
    defaultDescription: String(DEFAULTS.device),
    describe: 'auto, cpu, cuda, or cuda:1 for the second card',
  },
  engine: {
    choices: ['auto', 'onnx', 'tfjs'],
    defaultDescription: String(DEFAULTS.engine),
    describe: 'What to compute with',
  },
  threads: { type: 'number', describe: 'CPU threads; default: the physical cores' },
  keep: {
    type: 'string',
    defaultDescription: String(DEFAULTS.keep),
    describe: 'Checkpoints of epochs that stay: best, all, or the last n',
  },
  overwrite: {
    type: 'boolean',
    defaultDescription: 'false',
    describe: 'Start over where a run of this name stands',
  },
  compat: { choices: ['original'], describe: 'Split by step and take all regions, as the original does' },
};

/** What the two commands share that is no option of training. */
export const CONFIG_FLAGS: Command['options'] = {
  config: { type: 'string', describe: 'JSON file of options, named as the flags; flags come before it' },
  'print-config': { type: 'boolean', describe: 'Print all options as such a file, and do nothing' },
};

/** What one scorer reads of the kept layers. */
export const FEATURE_FLAGS: Command['options'] = {
  feature: {
    choices: ['last', 'layer_mean', 'concat', 'certain_layer'],
    defaultDescription: String(DEFAULTS.feature),
    describe: 'What is read of the kept layers',
  },
  'num-layers': { type: 'number', describe: 'layer_mean: of the last so many layers; default: all' },
  layer: { type: 'number', describe: 'certain_layer: its number, 0 = embeddings' },
};
