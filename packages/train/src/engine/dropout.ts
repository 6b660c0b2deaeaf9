import { randomStream } from '@scorer/core/random';
import type { EngineOptions } from './engine.js';

/**
 * The units that stay in training steps `firstStep`, `firstStep` + 1, …: 1 stays, 0 is left out. One array for each
 * hidden layer, [batches, units, batchSize]. Seed, step and layer alone decide, so that all engines leave out the same
 * units, and so does a run that was resumed.
 * @param firstStep from 1
 */
export function dropoutMasks(
  { dropout, seed, network }: Pick<EngineOptions, 'dropout' | 'seed' | 'network'>,
  { firstStep, batches, batchSize }: { firstStep: number; batches: number; batchSize: number },
): Uint8Array[] {
  return network.hiddenUnits.map((units, layer) => {
    const size = batchSize * units;
    const mask = new Uint8Array(batches * size);
    for (let k = 0; k < batches; k++) {
      const random = randomStream(seed, `dropout step ${firstStep + k} layer ${layer}`);
      for (let i = k * size; i < (k + 1) * size; i++) mask[i] = random.uniform() < dropout ? 0 : 1;
    }
    return mask;
  });
}
