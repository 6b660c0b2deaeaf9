import { join } from 'node:path';
import { type Command, parseOptions } from '@scorer/core/cli';
import { DEFAULTS, trainOptionsSchema } from '../options.js';
import type { SplitSummary, TrainingResult } from '../result.js';
import { type Epoch, selectionScore } from '../selection.js';
import { train } from '../train.js';

export const trainCommand: Command = {
  name: 'train',
  describe: 'Train a scorer on a folder of shards, with checkpoints, plots and a report',
  isDefault: true,
  options: {
    'train-dir': { type: 'string', demandOption: true, describe: 'Folder of shards (*.safetensors)' },
    'config-name': { type: 'string', default: DEFAULTS.configName, describe: 'Names the folders of the run' },
    'out-dir': { type: 'string', default: DEFAULTS.outDir, describe: 'Folder for checkpoints/ and plots/' },
    feature: {
      choices: ['last', 'layer_mean', 'concat', 'certain_layer'],
      default: DEFAULTS.feature,
      describe: 'What is read of the kept layers',
    },
    'num-layers': { type: 'number', describe: 'layer_mean: of the last so many layers; default: all' },
    layer: { type: 'number', describe: 'certain_layer: its number, 0 = embeddings' },
    split: {
      choices: ['question', 'trace', 'step'],
      describe: `What validation is made of; default: ${DEFAULTS.split}. trace and step leak`,
    },
    regions: {
      choices: ['reasoning', 'all'],
      describe: `Steps of the reasoning, or also those in the prompt; default: ${DEFAULTS.regions}`,
    },
    'step-sample-ratio': { type: 'number', default: DEFAULTS.stepSampleRatio, describe: "Share of each trace's steps" },
    'validation-ratio': { type: 'number', default: DEFAULTS.validationRatio, describe: 'Share kept for validation' },
    'hidden-units': { type: 'number', default: DEFAULTS.hiddenUnits, describe: 'Width of the hidden layer' },
    seed: { type: 'number', default: DEFAULTS.seed, describe: 'Of split, sampling, initial weights and shuffling' },
    epochs: { type: 'number', default: DEFAULTS.epochs, describe: 'Most passes over the training steps' },
    patience: { type: 'number', default: DEFAULTS.patience, describe: 'Epochs without gain before it stops' },
    'batch-size': { type: 'number', default: DEFAULTS.batchSize, describe: 'Steps in a minibatch' },
    lr: { type: 'number', default: DEFAULTS.lr, describe: 'Learning rate of Adam' },
    'weight-decay': { type: 'number', default: DEFAULTS.weightDecay, describe: 'L2 term, added to the gradient' },
    device: { choices: ['auto', 'cpu', 'cuda'], default: DEFAULTS.device, describe: 'Where to compute' },
    engine: { choices: ['auto', 'onnx', 'tfjs'], default: DEFAULTS.engine, describe: 'What to compute with' },
    threads: { type: 'number', describe: 'CPU threads; default: the physical cores' },
    overwrite: { type: 'boolean', default: DEFAULTS.overwrite, describe: 'Start over where a run of this name stands' },
    compat: { choices: ['original'], describe: 'Split by step and take all regions, as the original does' },
  },
  examples: [
    ['$0 --train-dir hs/ --config-name qwen3_4b_default', 'the defaults'],
    ['$0 --train-dir hs/ --config-name mid --feature certain_layer --layer 18', 'another layer, if the shards keep it'],
  ],
  async run(args, { signal, log, onProgress }) {
    const options = parseOptions(trainOptionsSchema, args);
    const result = await train({
      ...options,
      signal,
      onProgress,
      onEpoch: (epoch, outcome) => log.info(describeEpoch(epoch, outcome)),
      onWarning: log.warn,
    });
    return { json: toJson(result), text: describe(result) };
  },
};

function describeEpoch(epoch: number, { loss, ...metrics }: Epoch): string {
  const { auc, f1 } = metrics;
  const score = selectionScore(metrics);
  return `epoch ${epoch}: loss ${loss.toFixed(4)}, AUC ${auc.toFixed(4)}, F1 ${f1.toFixed(4)}, score ${score.toFixed(4)}`;
}

function toJson({ best, perEpoch, split, ...result }: TrainingResult): object {
  const { epoch, ...metrics } = best;
  return {
    ...metrics,
    best_epoch: epoch,
    epochs: perEpoch.length,
    checkpoint: result.checkpoint,
    checkpoint_folder: result.checkpointFolder,
    plots_folder: result.plotsFolder,
    split: split.kind,
    shared_questions: split.sharedQuestions,
    train: split.train,
    validation: split.validation,
    traces_without_steps: result.tracesWithoutSteps,
    repeated: result.repeated,
  };
}

function describe({ name, config, best, perEpoch, split, ...result }: TrainingResult): string {
  const { input_size, hidden_units, feature, feature_layers, model } = config;
  const layers = feature_layers.length === 1 ? `layer ${feature_layers[0]}` : `layers ${feature_layers.join(', ')}`;
  const rows: [string, string][] = [
    ['scorer', `${name}: ${input_size} → ${hidden_units} → 1 on ${feature} (${layers}) of ${model}`],
    ['training', describeSide(split.train)],
    ['validation', `${describeSide(split.validation)}, split by ${split.kind}`],
    ['', ''],
    ['AUC', best.auc.toFixed(4)],
    ['accuracy', best.accuracy.toFixed(4)],
    ['F1', best.f1.toFixed(4)],
    ['precision', best.precision.toFixed(4)],
    ['recall', best.recall.toFixed(4)],
    ['best epoch', `${best.epoch} of ${perEpoch.length}`],
    ['', ''],
    ['checkpoint', result.checkpoint],
    ['report', join(result.plotsFolder, 'report.html')],
  ];
  const lines = rows.map(([label, value]) => `${label.padEnd(11)} ${value}`.trimEnd());
  if (result.tracesWithoutSteps > 0) lines.push(`${result.tracesWithoutSteps} traces without a step were left out`);
  if (split.sharedQuestions > 0) {
    lines.push(
      `this split leaks: ${split.sharedQuestions} of ${split.validation.questions} validation questions are also ` +
        'trained on, so new questions will score lower; --split question shows how much',
    );
  }
  if (result.repeated) lines.push('this run had been finished before; --overwrite trains again');
  return lines.join('\n');
}

function describeSide({ questions, traces, steps, positives }: SplitSummary['train']): string {
  const share = ((100 * positives) / steps).toFixed(0);
  return `${steps} steps of ${traces} traces, ${questions} questions; ${share} % of the steps right`;
}
