import { type Command, parseOptions } from '@scorer/core/cli';
import { z } from 'zod';
import { type ImportSummary, importStates } from '../import/import-states.js';
import { parseFailureLimit } from '../run/failures.js';
import { modelOptions, modelOptionsSchema } from './model-options.js';

const optionsSchema = z.object({
  ...modelOptionsSchema,
  from: z.enum(['step', 'vllm']),
  source: z.string().min(1),
  tokenizerPath: z.string().min(1).optional(),
  inputPath: z.string().min(1),
  outputPath: z.string().min(1),
  startIdx: z.number().int().nonnegative(),
  endIdx: z.number().int().positive().optional(),
  layers: z.string(),
  finalNorm: z.enum(['apply', 'keep']).optional(),
  dtype: z.enum(['float32', 'float16', 'bfloat16']).optional(),
  storage: z.enum(['f16', 'bf16', 'f32']).transform((name) => name.toUpperCase() as 'F16' | 'BF16' | 'F32'),
  deleteSource: z.boolean(),
  shardSize: z.number().int().positive(),
  maxFailures: z.string(),
  overwrite: z.boolean(),
});

export const importCommand: Command = {
  name: 'import',
  describe: "Make shards of hidden states that another program computed: the original's .pt files, or vLLM's",
  options: {
    ...modelOptions,
    'model-name': { ...modelOptions['model-name'], alias: 'model' },
    from: { choices: ['step', 'vllm'], demandOption: true, describe: "Whose files: the original's, or vLLM's" },
    source: { type: 'string', demandOption: true, describe: 'Folder of the files (step: or one .pt)' },
    'tokenizer-path': { type: 'string', describe: "Tokenizer of the step records; default: the model's" },
    'input-path': { type: 'string', demandOption: true, describe: 'Step records of scorer-preprocess (.jsonl)' },
    'output-path': {
      type: 'string',
      demandOption: true,
      describe: 'folder/prefix; shards are named prefix_hiddenstates_START_END.safetensors',
    },
    'start-idx': { type: 'number', default: 0, describe: 'First line, from 0' },
    'end-idx': { type: 'number', describe: 'Line after the last one; default: end of the file' },
    layers: {
      type: 'string',
      default: 'last',
      describe: "What the files' layers are, in their order: 2,18,36 (vLLM's layer ids)",
    },
    'final-norm': {
      choices: ['apply', 'keep'],
      describe: "Of the last layer: vLLM's comes before the final norm (apply), the original's after it (keep)",
    },
    dtype: {
      choices: ['float32', 'float16', 'bfloat16'],
      describe: "What they were computed in; default: vLLM's own type, for step bfloat16",
    },
    storage: { choices: ['f16', 'bf16', 'f32'], default: 'f16', describe: 'How states are stored' },
    'delete-source': { type: 'boolean', default: false, describe: 'Delete each file once its traces are on disk' },
    'shard-size': { type: 'number', default: 1000, describe: 'Most traces in one file' },
    'max-failures': { type: 'string', default: '1%', describe: 'Failed traces allowed, a count or a percentage' },
    overwrite: { type: 'boolean', default: false, describe: 'Replace shards made from other input or settings' },
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
      model: options.modelName,
      revision: options.revision,
      ignoreConfigKeys: options.ignoreConfigKeys,
      tokenizer: options.tokenizerPath,
      inputPath: options.inputPath,
      outputPath: options.outputPath,
      start: options.startIdx,
      end: options.endIdx,
      layers: options.layers,
      finalNorm: options.finalNorm,
      compute: options.dtype,
      storage: options.storage,
      afterwards: options.deleteSource ? 'delete' : 'keep',
      shardSize: options.shardSize,
      maxFailures: parseFailureLimit(options.maxFailures),
      overwrite: options.overwrite ? 'replace' : 'refuse',
      signal,
      onProgress,
      onWarning: log.warn,
    });
    return { json: summary, text: describe(summary) };
  },
};

function describe({ shards, traces, steps, failures, layers, hidden_size, dtype }: ImportSummary): string {
  const lines = [
    `${traces} traces, ${steps} steps; layers ${layers.join(', ')} of ${hidden_size} values, computed in ${dtype}`,
    ...shards.map(({ path, traces, steps, status }) => {
      const note = status === 'kept' ? ', finished earlier' : '';
      return `  ${path} (${traces} traces, ${steps} steps${note})`;
    }),
  ];
  if (failures > 0) lines.push(`${failures} traces failed: see the .failures.json beside each shard`);
  if (shards.every(({ status }) => status === 'kept')) lines.push('nothing was left to do');
  return lines.join('\n');
}
