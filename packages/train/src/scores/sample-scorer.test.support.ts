import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSafetensors } from '@scorer/core/safetensors';
import type { ScorerConfig } from '@scorer/core/schema';

const CONFIG = {
  format: 'scorer.checkpoint',
  version: 1,
  name: 'sample',
  model: 'sample',
  model_fingerprint: '0'.repeat(64),
  data_fingerprint: '2'.repeat(64),
  hidden_size: 2,
  layers: [3],
  feature: 'last',
  feature_layers: [3],
  input_size: 2,
  hidden_units: 1,
  regions: 'reasoning',
  split: 'question',
  seed: 0,
  step_sample_ratio: 1,
  validation_ratio: 0.2,
  epochs: 1,
  patience: 1,
  batch_size: 1,
  lr: 1,
  weight_decay: 0,
  pos_weight: 1,
};

/** A checkpoint folder whose scorer gives a row with x as its last number the probability sigmoid(max(0, x) + bias). */
export async function writeSampleScorer(
  folder: string,
  { bias = 0, ...config }: Partial<ScorerConfig> & { bias?: number } = {},
): Promise<void> {
  const inputSize = config.input_size ?? CONFIG.input_size;
  const onlyLast = Float32Array.from({ length: inputSize }, (_, i) => Number(i === inputSize - 1));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), JSON.stringify({ ...CONFIG, ...config }));
  await writeSafetensors(join(folder, 'scorer.safetensors'), [
    { name: 'net.0.weight', dtype: 'F32', shape: [1, inputSize], data: onlyLast },
    { name: 'net.0.bias', dtype: 'F32', shape: [1], data: new Float32Array(1) },
    { name: 'net.2.weight', dtype: 'F32', shape: [1, 1], data: new Float32Array([1]) },
    { name: 'net.2.bias', dtype: 'F32', shape: [1], data: new Float32Array([bias]) },
  ]);
}
