import { type Command, parseOptions } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import type { Storage } from '@scorer/core/schema';
import { z } from 'zod';
import { type ExtractSummary, extract } from '../run/extract.js';
import { parseFailureLimit } from '../run/failures.js';
import { dtypeOption, dtypeSchema, modelOptions, modelOptionsSchema } from './model-options.js';

const STORAGES: Readonly<Record<string, Storage>> = { f16: 'F16', bf16: 'BF16', f32: 'F32', fp16: 'F16', fp32: 'F32' };

const storageSchema = z.string().transform((name) => STORAGES[name]!);

const optionsSchema = z.object({
  ...modelOptionsSchema,
  inputPath: z.string().min(1),
  outputPath: z.string().min(1),
  startIdx: z.number().int().nonnegative(),
  endIdx: z.number().int().positive().optional(),
  layers: z.string(),
  device: z.enum(['auto', 'cpu', 'cuda']),
  dtype: dtypeSchema,
  storage: storageSchema,
  shardSize: z.number().int().positive(),
  shard: z.string().optional(),
  maxFailures: z.string(),
  threads: z.number().int().positive().optional(),
  overwrite: z.boolean(),
});

export const extractCommand: Command = {
  name: 'extract',
  describe: 'Run step records through a model and store the hidden states at the step ends',
  isDefault: true,
  options: {
    ...modelOptions,
    'input-path': { type: 'string', demandOption: true, describe: 'Step records of scorer-preprocess (.jsonl)' },
    'output-path': {
      type: 'string',
      demandOption: true,
      describe: 'folder/prefix; shards are named prefix_hiddenstates_START_END.safetensors',
    },
    'start-idx': { type: 'number', default: 0, describe: 'First line, from 0' },
    'end-idx': { type: 'number', describe: 'Line after the last one; default: end of the file' },
    layers: { type: 'string', default: 'last', describe: 'last, all, or numbers: 3,7,-1 (0 = embeddings)' },
    device: { choices: ['auto', 'cpu', 'cuda'], default: 'auto', describe: 'Where to compute' },
    dtype: dtypeOption,
    storage: { choices: Object.keys(STORAGES), default: 'f16', describe: 'How states are stored' },
    'shard-size': { type: 'number', default: 1000, describe: 'Most traces in one file' },
    shard: { type: 'string', describe: 'i/n: of the files, make number i, i+n, … (i from 0)' },
    'max-failures': { type: 'string', default: '1%', describe: 'Failed traces allowed, a count or a percentage' },
    threads: { type: 'number', describe: 'CPU threads; default: the physical cores' },
    overwrite: { type: 'boolean', default: false, describe: 'Replace shards made from other input or settings' },
  },
  examples: [
    [
      '$0 --model-name models/Qwen3-4B --input-path pre/raw.jsonl --output-path hs/raw',
      'one file for every 1000 traces',
    ],
  ],
  async run(args, { signal, log, onProgress }) {
    const options = parseOptions(optionsSchema, args);
    const summary = await extract({
      model: options.modelName,
      revision: options.revision,
      ignoreConfigKeys: options.ignoreConfigKeys,
      inputPath: options.inputPath,
      outputPath: options.outputPath,
      start: options.startIdx,
      end: options.endIdx,
      layers: options.layers,
      device: options.device,
      compute: options.dtype,
      storage: options.storage,
      shardSize: options.shardSize,
      ...(options.shard !== undefined && { part: parsePart(options.shard) }),
      maxFailures: parseFailureLimit(options.maxFailures),
      threads: options.threads,
      overwrite: options.overwrite ? 'replace' : 'refuse',
      signal,
      onProgress,
      onWarning: log.warn,
      onInfo: log.info,
    });
    return { json: summary, text: describe(summary) };
  },
};

function parsePart(text: string): { index: number; count: number } {
  const [, index, count] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  if (index !== undefined && count !== undefined && index < count) return { index, count };
  throw new ScorerError({
    code: 'BAD_OPTION',
    kind: 'usage',
    what: `"${text}" is not i/n with i from 0 to n − 1`,
    where: '--shard',
    hint: 'give 0/4, 1/4, 2/4 and 3/4 to four processes',
  });
}

function describe({ shards, traces, steps, failures, layers, hidden_size, dtype, device }: ExtractSummary): string {
  const kept = shards.filter(({ status }) => status === 'kept').length;
  const lines = [
    `${traces} traces, ${steps} steps; layers ${layers.join(', ')} of ${hidden_size} values, ${dtype} on ${device}`,
    ...shards.map(({ path, traces, steps, status }) => {
      const note = status === 'kept' ? ', finished earlier' : '';
      return `  ${path} (${traces} traces, ${steps} steps${note})`;
    }),
  ];
  if (failures > 0) lines.push(`${failures} traces failed: see the .failures.json beside each shard`);
  if (kept === shards.length) lines.push('nothing was left to do');
  return lines.join('\n');
}
