import { basename, join, resolve } from 'node:path';
import type { OnProgress } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { fileExists } from '@scorer/core/files';
import { resolveModelFolder } from '@scorer/core/hub';
import { INDEX_FILE, indexedFiles, SINGLE_FILE } from '@scorer/core/safetensors';
import { TOKENIZER_FILES } from '@scorer/core/tokenizer';
import type { Architecture } from './architectures/index.js';
import type { DecoderSpec, TensorNames } from './decoder-spec.js';
import { readTextIfPresent } from './folder.js';
import { type HfConfigOptions, readHfConfig } from './hf-config.js';
import { unstackExperts } from './stacked-experts.js';
import { locateWeights, requireTensor, type Weights } from './weights.js';

/** A decoder in a Hugging Face folder: read, checked, not yet loaded. */
export interface DecoderModel {
  readonly kind: 'huggingface';
  readonly folder: string;
  /** Base name of the folder, or the hub id's name without its owner. */
  readonly name: string;
  readonly spec: DecoderSpec;
  readonly architecture: Architecture;
  readonly weights: Weights;
}

export interface LoadModelOptions extends HfConfigOptions {
  /** Branch, tag or commit of a hub model; `main` by default. */
  revision?: string | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
}

/**
 * Opens a model (config.json and *.safetensors) in a folder, or by its hub id, `Qwen/Qwen3-4B`: of that what Hugging
 * Face's cache lacks is fetched into it, the weights only once config.json is known to be supported.
 * @throws ScorerError `MODEL_NOT_FOUND`, `TENSOR_MISSING`, `TENSOR_SHAPE`, and the codes of `readHfConfig`,
 * `locateWeights` and, for a hub model, `resolveModelFolder`
 */
export async function loadModel(idOrFolder: string, options: LoadModelOptions = {}): Promise<DecoderModel> {
  const { required, optional } = TOKENIZER_FILES;
  const files = { required: ['config.json'], optional: [INDEX_FILE, ...required, ...optional] };
  const folder = await resolveModelFolder(idOrFolder, { ...options, files });
  const configPath = join(folder, 'config.json');
  const config = await readTextIfPresent(configPath);
  if (config === undefined) {
    throw new ScorerError({
      code: 'MODEL_NOT_FOUND',
      what: 'there is no config.json',
      where: folder,
      hint: 'name a Hugging Face model folder, or the id of a hub model, with --model-name',
    });
  }
  const { spec, architecture } = readHfConfig(config, configPath, options);
  if (folder !== idOrFolder) {
    const isSharded = await fileExists(join(folder, INDEX_FILE));
    const required = isSharded ? await indexedFiles(folder) : [SINGLE_FILE];
    await resolveModelFolder(idOrFolder, { ...options, files: { required } });
  }
  const located = withHeadNames(await locateWeights(folder), architecture);
  const weights = unstackExperts(located, spec, architecture.tensors);
  requireLayers(weights, spec, architecture.tensors);
  return { kind: 'huggingface', folder, name: basename(resolve(idOrFolder)), spec, architecture, weights };
}

/** Of a model saved without its head the tensors have no `model.` before their names. */
function withHeadNames(weights: Weights, { tensors: { embeddings } }: Architecture): Weights {
  const prefix = embeddings.slice(0, embeddings.indexOf('.') + 1);
  if (weights.tensors.has(embeddings) || !weights.tensors.has(embeddings.slice(prefix.length))) return weights;
  return { ...weights, tensors: new Map([...weights.tensors].map(([name, tensor]) => [prefix + name, tensor])) };
}

/**
 * That the files have the tokens, layers and experts which config.json counts, before anything is made for each of them.
 * The shapes of all tensors are checked where the graph is built.
 */
function requireLayers(weights: Weights, spec: DecoderSpec, names: TensorNames): void {
  const { hiddenSize: D, layerCount, vocabularySize, experts } = spec;
  requireTensor(weights, names.embeddings, [vocabularySize, D]);
  for (let layer = 0; layer < layerCount; layer++) {
    const tensors = names.layer(layer);
    requireTensor(weights, tensors.attentionNorm, [D]);
    if (experts?.inLayer[layer]) requireTensor(weights, `${tensors.router!}.weight`, [experts.count, D]);
    else requireTensor(weights, `${tensors.gate}.weight`);
  }
}
