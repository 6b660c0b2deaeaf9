import { type Command, parseOptions } from '@scorer/core/cli';
import { z } from 'zod';
import { type ImportSummary, importStates } from '../import/import-states.js';
import {
  confidenceTopKOption,
  dtypeOption,
  dtypeSchema,
  modelOptions,
  modelOptionsSchema,
  modelSettings,
} from './model-options.js';
import { describeShards, shardOptions, shardOptionsSchema, shardSettings } from './shard-options.js';

const optionsSchema = z.object({
  ...modelOptionsSchema,
  from: z.enum(['step', 'vllm']),
  source: z.string().min(1),
  tokenizerPath: z.string().min(1).optional(),
  ...shardOptionsSchema,
  layers: z.string(),
  finalNorm: z.enum(['apply', 'keep']).optional(),
  dtype: dtypeSchema,
  confidence: z.literal('field').optional(),
  confidenceTopK: z.number().int().positive(),
  deleteSource: z.boolean(),
});

export const importCommand: Command = {
  name: 'import',
  describe: "Make shards of hidden states that another program computed: the original's .pt files, or vLLM's",
  options: {
    ...modelOptions,
    'model-name': { ...modelOptions['model-name'], describe: 'Model folder, or hub id (owner/name)' },
    from: { choices: ['step', 'vllm'], demandOption: true, describe: "Whose files: the original's, or vLLM's" },
    source: { type: 'string', demandOption: true, describe: 'Folder of the files (step: or one .pt)' },
    'tokenizer-path': { type: 'string', describe: "Tokenizer of the step records; default: the model's" },
    ...shardOptions,
    layers: {
      type: 'string',
      default: 'last',
      describe: "What the files' layers are, in their order: 2,18,36 (vLLM's layer ids)",
    },
    'final-norm': {
      choices: ['apply', 'keep'],
      describe: "Of the last layer: vLLM's comes before the final norm (apply), the original's after it (keep)",
    },
    dtype: { ...dtypeOption, describe: "What they were computed in; auto: vLLM's own type, for step bf16" },
    confidence: { choices: ['field'], describe: "Store the confidence of tokens from the records' logprobs" },
    'confidence-top-k': confidenceTopKOption,
    'delete-source': { type: 'boolean', default: false, describe: 'Delete each file once its traces are on disk' },
  },
  examples: [
    [
      '$0 import --from step --source old/ --model-name models/Qwen3-4B --input-path pre/raw.jsonl --output-path hs/raw',
      "the original's .pt files",
    ],
    [
      '$0 import --from vllm --source /dev/shm/hs --layers 36 --model-name models/Qwen3-4B --input-path pre/raw.jsonl --output-path hs/raw --delete-source',
      'files of vLLM with the last of 36 layers',
    ],
  ],
  async run(args, { signal, log, onProgress }) {
    const options = parseOptions(optionsSchema, args);
    const summary = await importStates({
      from: options.from,
      source: options.source,
      ...modelSettings(options),
      ...shardSettings(options),
      tokenizer: options.tokenizerPath,
      layers: options.layers,
      finalNorm: options.finalNorm,
      compute: options.dtype,
      confidence: options.confidence && { topK: options.confidenceTopK },
      afterwards: options.deleteSource ? 'delete' : 'keep',
      signal,
      onProgress,
      onWarning: log.warn,
    });
    return { json: summary, text: describe(summary) };
  },
};

function describe({ shards, traces, steps, failures, layers, hidden_size, dtype }: ImportSummary): string {
  const imported = `layers ${layers.join(', ')} of ${hidden_size} values, computed in ${dtype}`;
  return [`${traces} traces, ${steps} steps; ${imported}`, ...describeShards({ shards, failures })].join('\n');
}
