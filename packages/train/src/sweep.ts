import { basename, join } from 'node:path';
import { parseOptions } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { writeFileAtomic } from '@scorer/core/files';
import { openShardFolder } from '@scorer/core/shards';
import { z } from 'zod';
import { figuresOf } from './cross-validation.js';
import { trainOptionsSchema } from './options.js';
import type { TrainingResult } from './result.js';
import { runFolders, type TrainOptions, trainWith } from './train.js';
import { warnOnce } from './warn-once.js';

const layersSchema = z.object({ layers: z.array(z.number().int().nonnegative()).min(1).optional() });

/** Options of `train` but for the feature, which is one layer after the other. */
export type SweepOptions = Omit<TrainOptions, 'feature' | 'layer' | 'numLayers'> & {
  /** Which of the kept layers; all of them where left out. */
  layers?: readonly number[] | undefined;
};

export interface SweepResult {
  readonly name: string;
  /** In the order of the layers; each run lies in checkpoints/NAME/layer3, … */
  readonly layers: readonly { readonly layer: number; readonly run: TrainingResult }[];
  /** A page with a chart of AUC by layer. */
  readonly report: string;
}

/**
 * Trains one scorer for each kept layer, with the same settings, steps and split, so that the layers compare. Run again,
 * it goes on where it stopped.
 * @throws ScorerError the codes of `train`
 */
export async function sweepLayers(options: SweepOptions): Promise<SweepResult> {
  const settings = parseOptions(trainOptionsSchema, { ...options, feature: 'last' });
  const layers = await chooseLayers(settings.trainDir, parseOptions(layersSchema, options).layers);

  const hooks = warnOnce(options);
  const runs: { layer: number; run: TrainingResult }[] = [];
  for (const layer of layers) {
    const ofLayer = { ...settings, feature: 'certain_layer' as const, layer, part: `layer${layer}` };
    runs.push({ layer, run: await trainWith(ofLayer, hooks) });
  }

  const { checkpoints, plots } = runFolders(settings);
  const sweep = { name: settings.configName, layers: runs };
  await writeFileAtomic(join(checkpoints, 'sweep.json'), `${JSON.stringify(sweepJson(sweep), null, 2)}\n`);
  const { writeSweepPlots } = await import('./plots/sweep.js');
  return { ...sweep, report: await writeSweepPlots(plots, sweep) };
}

/** sweep.json, and what `--json` prints beside the report's path. */
export function sweepJson({ layers }: Pick<SweepResult, 'layers'>): { layers: object[] } {
  return {
    layers: layers.map(({ layer, run }) => ({
      layer,
      ...figuresOf(run),
      best_epoch: run.best.epoch,
      checkpoint: basename(run.checkpoint),
    })),
  };
}

/** In a message. */
const NAMED_LAYERS = 10;

async function chooseLayers(trainDir: string, wanted: readonly number[] | undefined): Promise<readonly number[]> {
  const { layers: kept, close } = await openShardFolder(trainDir);
  await close();
  const missing = wanted?.filter((layer) => !kept.includes(layer)) ?? [];
  if (missing.length === 0) return [...new Set(wanted ?? kept)];
  const named = missing.slice(0, NAMED_LAYERS).join(', ');
  const more = missing.length > NAMED_LAYERS ? ` and ${missing.length - NAMED_LAYERS} more` : '';
  throw new ScorerError({
    code: 'LAYER_NOT_KEPT',
    kind: 'usage',
    what: `the shards do not keep ${missing.length === 1 ? 'layer' : 'layers'} ${named}${more}`,
    where: '--layers',
    hint: `they keep ${kept.join(', ')}; extract again with --layers for others`,
  });
}
