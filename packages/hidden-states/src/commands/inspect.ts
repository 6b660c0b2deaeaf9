import { type Command, parseOptions } from '@scorer/core/cli';
import { z } from 'zod';
import { loadModel } from '../model/load-model.js';
import { modelOptions, modelOptionsSchema } from './model-options.js';

const optionsSchema = z.object(modelOptionsSchema);

export const inspectCommand: Command = {
  name: 'inspect',
  describe: 'Show what a model offers: architecture, layers, sizes',
  options: modelOptions,
  async run(args) {
    const { modelName, ignoreConfigKeys } = parseOptions(optionsSchema, args);
    const { name, spec, weights } = await loadModel(modelName, { ignoreKeys: ignoreConfigKeys });
    const bytes = [...weights.tensors.values()].reduce((sum, { length }) => sum + length, 0);
    const json = {
      model: name,
      architecture: spec.architecture,
      layers: spec.layerCount,
      hidden_size: spec.hiddenSize,
      heads: spec.headCount,
      key_value_heads: spec.keyValueHeadCount,
      head_size: spec.headSize,
      vocabulary_size: spec.vocabularySize,
      context_length: spec.contextLength,
      tensors: weights.tensors.size,
      weight_bytes: bytes,
    };
    const lines = Object.entries(json).map(([key, value]) => `${key.replaceAll('_', ' ').padEnd(16)} ${value}`);
    lines.push(`${'--layers'.padEnd(16)} 0 (embeddings) to ${spec.layerCount} (after the final norm)`);
    return { json, text: lines.join('\n') };
  },
};
