import { ScorerError } from '@scorer/core/errors';
import type { Device } from '@scorer/core/onnx';
import type { ScorerConfig } from '@scorer/core/schema';
import type { EngineName, InputTransform } from '../engine/engine.js';
import { fitPca } from '../engine/pca.js';
import { RUNTIMES } from '../engine/runtime.js';
import { standardScale } from './standardise.js';
import type { TrainingData } from './training-data.js';

/**
 * What a run does to its inputs before the network, fitted to the training rows: standardised, brought down to their
 * principal components, both, or (undefined) nothing. A resumed run finds the same again.
 * @throws ScorerError `BAD_OPTION` (usage) for more components than inputs, `ROWS_NOT_FINITE`
 */
export async function inputTransform(
  { train, source }: Pick<TrainingData, 'train' | 'source'>,
  { standardise, pca, seed }: Pick<ScorerConfig, 'standardise' | 'pca' | 'seed'>,
  options: {
    engine: EngineName;
    device: Device;
    threads?: number | undefined;
    signal?: AbortSignal | undefined;
  },
): Promise<InputTransform | undefined> {
  if (!standardise && pca === undefined) return undefined;
  const { rows } = train;
  if (pca !== undefined && pca > rows.width) {
    throw new ScorerError({
      code: 'BAD_OPTION',
      kind: 'usage',
      what: `the feature has ${rows.width} numbers, which give no ${pca} components`,
      where: '--pca',
      hint: `give ${rows.width} at most`,
    });
  }
  const standard = await standardScale(rows.inOrder(), rows.width, options.signal);
  if (!standard.mean.every(Number.isFinite)) throw notFinite(train.dataset.path);
  if (pca === undefined) return standard;
  const base = standardise ? standard : { ...standard, scale: new Float32Array(rows.width).fill(1) };
  const { engine, device, threads } = options;
  const pcaOptions = { components: pca, seed, rowType: source.rowType, device, threads };
  return fitPca(RUNTIMES[engine], rows.inOrder(), base, pcaOptions);
}

function notFinite(where: string): ScorerError {
  const what = 'a training step has a value that is not finite, which leaves the rows without mean and variance';
  const hint = 'find it with scorer-shards verify, and extract that shard again';
  return new ScorerError({ code: 'ROWS_NOT_FINITE', what, where, hint });
}
