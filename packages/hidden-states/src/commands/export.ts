import { type Command, parseOptions } from '@scorer/core/cli';
import { z } from 'zod';
import { exportAnyModel, loadAnyModel } from '../model/any-model.js';
import { computeTypeFor } from '../model/compute-type.js';
import { parseLayers } from '../run/plan/layers.js';
import { dtypeOption, dtypeSchema, modelOptions, modelOptionsSchema } from './model-options.js';
import { layersOption } from './shard-options.js';

/** ONNX has bfloat16 too, which few programs can read. */
const OUTPUT_TYPES: Readonly<Record<string, 'F16' | 'F32'>> = { f16: 'F16', f32: 'F32', fp16: 'F16', fp32: 'F32' };

const optionsSchema = z.object({
  ...modelOptionsSchema,
  outputFile: z.string().min(1),
  layers: z.string(),
  dtype: dtypeSchema,
  storage: z.string().transform((name) => OUTPUT_TYPES[name]!),
  selfContained: z.boolean(),
});

export const exportCommand: Command = {
  name: 'export',
  describe: 'Write a model, also one in an .onnx file, as an .onnx file that outputs hidden states',
  options: {
    ...modelOptions,
    'output-file': { type: 'string', demandOption: true, describe: 'The .onnx file, in the folder of the weights' },
    layers: layersOption,
    dtype: { ...dtypeOption, describe: 'Arithmetic: fp32 (auto) for the CPU, bf16 or fp16 for CUDA' },
    storage: { choices: Object.keys(OUTPUT_TYPES), default: 'f32', describe: 'Type of the outputs' },
    'self-contained': { type: 'boolean', default: false, describe: 'Copy the weights beside the .onnx file' },
  },
  examples: [
    ['$0 export --model-name models/Qwen3-4B --output-file models/Qwen3-4B/hidden-states.onnx --layers all', ''],
  ],
  async run(args, { signal, onProgress }) {
    const options = parseOptions(optionsSchema, args);
    const { revision, ignoreConfigKeys: ignoreKeys } = options;
    const model = await loadAnyModel(options.modelName, { ignoreKeys, revision, signal, onProgress });
    const layers = parseLayers(options.layers, model.spec.layerCount);
    const files = await exportAnyModel(model, {
      outputFile: options.outputFile,
      layers,
      compute: model.kind === 'onnx' ? computeTypeFor(model, 'cpu', options.dtype) : (options.dtype ?? 'float32'),
      storage: options.storage,
      weights: options.selfContained ? 'copy' : 'reference',
    });
    return { json: { files, layers }, text: files.join('\n') };
  },
};
