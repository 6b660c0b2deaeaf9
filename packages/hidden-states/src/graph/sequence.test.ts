import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openDecoder } from '../decoder/decoder.js';
import { loadModel } from '../model/load-model.js';

/** A head has six angles: their number is no multiple of what a processor takes at a time. */
const SIX_ANGLES = fileURLToPath(new URL('../run/fixtures/architectures/llama3-biases', import.meta.url));

test('sines and cosines are the same bytes whatever follows the last wanted state', async () => {
  const model = await loadModel(SIX_ANGLES);
  const options = { layers: [1], compute: 'float32', storage: 'F32', device: 'cpu', threads: 1 } as const;
  const [without, confident] = await Promise.all([
    openDecoder(model, options),
    openDecoder(model, { ...options, confidence: { topK: 5 } }),
  ]);
  for (const last of [210, 324, 452, 458, 552, 854, 986]) {
    const inputIds = Int32Array.from({ length: last + 40 }, (_, i) => (i * i * 7 + 3 * i) % 40);
    const sequence = { inputIds, positions: Int32Array.of(last) };
    const { states } = await confident.hiddenStatesAndConfidence(sequence);
    expect(states, `last state at ${last}`).toEqual(await without.hiddenStates(sequence));
  }
  await Promise.all([without.close(), confident.close()]);
});
