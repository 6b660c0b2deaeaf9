import { basename, join, resolve } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import type { Architecture } from './architectures/index.js';
import type { DecoderSpec } from './decoder-spec.js';
import { readTextIfPresent } from './folder.js';
import { type HfConfigOptions, readHfConfig } from './hf-config.js';
import { locateWeights, type Weights } from './weights.js';

/** A decoder in a Hugging Face folder: read, checked, not yet loaded. */
export interface DecoderModel {
  readonly folder: string;
  /** Base name of the folder. */
  readonly name: string;
  readonly spec: DecoderSpec;
  readonly architecture: Architecture;
  readonly weights: Weights;
}

/**
 * Opens a Hugging Face model folder (config.json and *.safetensors).
 * @throws ScorerError `MODEL_NOT_FOUND`, `ONNX_INPUT_UNSUPPORTED` (usage) and the codes of `readHfConfig` and `locateWeights`.
 */
export async function loadModel(folder: string, options: HfConfigOptions = {}): Promise<DecoderModel> {
  if (folder.endsWith('.onnx')) {
    throw new ScorerError({
      code: 'ONNX_INPUT_UNSUPPORTED',
      kind: 'usage',
      what: 'an .onnx file as the model is not supported yet',
      where: folder,
      hint: 'name the Hugging Face folder that it was made from',
    });
  }
  const configPath = join(folder, 'config.json');
  const config = await readTextIfPresent(configPath);
  if (config === undefined) {
    throw new ScorerError({
      code: 'MODEL_NOT_FOUND',
      what: 'there is no config.json',
      where: folder,
      hint: 'name a Hugging Face model folder with --model-name',
    });
  }
  const { spec, architecture } = readHfConfig(config, configPath, options);
  return { folder, name: basename(resolve(folder)), spec, architecture, weights: await locateWeights(folder) };
}
