import type { Command } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { type SweepResult, sweepJson, sweepLayers } from '../sweep.js';
import { describeEpoch } from './describe-run.js';
import { CONFIG_FLAGS, TRAIN_FLAGS } from './train-flags.js';
import { printedSettings, readSettings } from './train-settings.js';

export const sweepCommand: Command = {
  name: 'sweep',
  describe: 'Train a scorer on each kept layer, with the same settings, and compare them',
  options: {
    ...TRAIN_FLAGS,
    ...CONFIG_FLAGS,
    layers: { type: 'string', describe: 'Layers by number, as 12,24,36; default: all that the shards keep' },
  },
  examples: [['$0 sweep --train-dir hs/ --config-name qwen3_4b_layers', 'all kept layers']],
  async run({ layers, ...args }, { signal, log, onProgress }) {
    if (args.printConfig) return printedSettings(args);
    const settings = await readSettings(args);
    const result = await sweepLayers({
      ...settings,
      layers: layers === undefined ? undefined : parseLayers(String(layers)),
      signal,
      onProgress,
      onEpoch: (...epoch) => log.info(describeEpoch(...epoch)),
      onWarning: log.warn,
    });
    return { json: { ...sweepJson(result), report: result.report }, text: describeSweep(result) };
  },
};

function parseLayers(text: string): number[] {
  const layers = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (layers.every((layer) => Number.isSafeInteger(layer) && layer >= 0)) return layers;
  const [what, hint] = [`${JSON.stringify(text)} is no list of layers`, 'give their numbers, as 12,24,36'];
  throw new ScorerError({ code: 'BAD_OPTION', kind: 'usage', what, where: '--layers', hint });
}

function describeSweep({ layers, report }: SweepResult): string {
  const cell = (value: number | null | undefined): string => (value?.toFixed(4) ?? '–').padEnd(8);
  const rows = layers.map(({ layer, run: { best, judgement } }) => {
    const figures = [best.auc, judgement?.auc_within_question, best.f1].map(cell).join('');
    return `${String(layer).padEnd(7)}${figures}${best.epoch}`;
  });
  return ['layer  AUC     within  F1      best epoch', ...rows, '', `report ${report}`].join('\n');
}
