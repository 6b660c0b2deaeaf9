import type { Command } from '@scorer/core/cli';
import { type CrossValidationResult, crossValidate, foldsJson } from '../cross-validation.js';
import { trainWith } from '../train.js';
import { describeEpoch, describeRun, runJson } from './describe-run.js';
import { CONFIG_FLAGS, FEATURE_FLAGS, TRAIN_FLAGS } from './train-flags.js';
import { printedSettings, readSettings } from './train-settings.js';

export const trainCommand: Command = {
  name: 'train',
  describe: 'Train a scorer on a folder of shards, with checkpoints, plots and a report',
  isDefault: true,
  options: {
    ...TRAIN_FLAGS,
    ...FEATURE_FLAGS,
    ...CONFIG_FLAGS,
    folds: { type: 'number', describe: 'Train so many scorers, each validated on another part; mean and deviation' },
  },
  examples: [
    ['$0 --train-dir hs/ --config-name qwen3_4b_default', 'the defaults'],
    ['$0 --train-dir hs/ --config-name mid --feature certain_layer --layer 18', 'another layer, if the shards keep it'],
    ['$0 --train-dir hs/ --config-name cv --folds 5', 'how far the figures vary with the split'],
  ],
  async run(args, { signal, log, onProgress }) {
    if (args.printConfig) return printedSettings(args);
    const settings = await readSettings(args);
    const hooks = {
      signal,
      onProgress,
      onEpoch: (...epoch: Parameters<typeof describeEpoch>) => log.info(describeEpoch(...epoch)),
      onWarning: log.warn,
    };
    if (args.folds !== undefined) {
      const result = await crossValidate({ ...settings, ...hooks, folds: args.folds as number });
      return { json: { ...foldsJson(result), out_of_fold: result.outOfFold ?? null }, text: describeFolds(result) };
    }
    const result = await trainWith(settings, hooks);
    return { json: runJson(result), text: describeRun(result) };
  },
};

function describeFolds({ folds, mean, standardDeviation, outOfFold }: CrossValidationResult): string {
  const names = Object.keys(mean) as (keyof typeof mean)[];
  const rows = names.map((name) => {
    const [value, deviation] = [mean[name], standardDeviation[name]];
    const figure = value === null ? 'no question has both' : `${value.toFixed(4)} ± ${deviation!.toFixed(4)}`;
    return `${name.replaceAll('_', ' ').padEnd(20)} ${figure}`;
  });
  return [
    `${folds.length} folds, mean ± standard deviation`,
    ...rows,
    '',
    ...folds.map(({ checkpointFolder, best }, i) => `fold ${i + 1}  AUC ${best.auc.toFixed(4)}  ${checkpointFolder}`),
    ...(outOfFold === undefined ? [] : ['', `out-of-fold scores   ${outOfFold}`]),
  ].join('\n');
}
