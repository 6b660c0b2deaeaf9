import type { Storage } from '@scorer/core/schema';
import { z } from 'zod';
import { DEFAULT_SHARD_SIZE } from '../run/plan/plan-shards.js';
import { parseFailureLimit } from '../run/shard/failures.js';
import type { ExtractedShard } from '../run/summary.js';
import { confidenceTopKOption, dtypeOption, dtypeSchema, modelOptions, modelOptionsSchema } from './model-options.js';

const STORAGES: Readonly<Record<string, Storage>> = { f16: 'F16', bf16: 'BF16', f32: 'F32', fp16: 'F16', fp32: 'F32' };

/** Which step records become which files, and how states stand in them. */
const recordOptions = {
  'input-path': { type: 'string', demandOption: true, describe: 'Step records of scorer-preprocess (.jsonl)' },
  'output-path': {
    type: 'string',
    demandOption: true,
    describe: 'folder/prefix; shards are named prefix_hiddenstates_START_END.safetensors',
  },
  'start-idx': { type: 'number', default: 0, describe: 'First line, from 0' },
  'end-idx': { type: 'number', describe: 'Line after the last one; default: end of the file' },
  storage: { choices: Object.keys(STORAGES), default: 'f16', describe: 'How states are stored' },
} as const;

const recordOptionsSchema = {
  inputPath: z.string().min(1),
  outputPath: z.string().min(1),
  startIdx: z.number().int().nonnegative(),
  endIdx: z.number().int().positive().optional(),
  storage: z.string().transform((name) => STORAGES[name]!),
};

/** The options of every command that makes shards. */
export const shardOptions = {
  ...recordOptions,
  'shard-size': { type: 'number', default: DEFAULT_SHARD_SIZE, describe: 'Most traces in one file' },
  'max-failures': { type: 'string', default: '1%', describe: 'Failed traces allowed, a count or a percentage' },
  overwrite: { type: 'boolean', default: false, describe: 'Replace shards made from other input or settings' },
} as const;

export const shardOptionsSchema = {
  ...recordOptionsSchema,
  shardSize: z.number().int().positive(),
  maxFailures: z.string(),
  overwrite: z.boolean(),
};

/** As the functions that make shards take them. */
export function shardSettings(options: z.output<z.ZodObject<typeof shardOptionsSchema>>) {
  return {
    inputPath: options.inputPath,
    outputPath: options.outputPath,
    start: options.startIdx,
    end: options.endIdx,
    storage: options.storage,
    shardSize: options.shardSize,
    maxFailures: parseFailureLimit(options.maxFailures),
    overwrite: options.overwrite ? 'replace' : 'refuse',
  } as const;
}

export const layersOption = {
  type: 'string',
  default: 'last',
  describe: 'last, all, or numbers: 3,7,-1 (0 = embeddings)',
} as const;

/** What an extraction computes, whoever computes it: what `extract` shares with command lines that spread it out. */
export const extractionOptions = {
  'model-name': modelOptions['model-name'],
  'ignore-config-keys': modelOptions['ignore-config-keys'],
  ...recordOptions,
  layers: layersOption,
  dtype: dtypeOption,
  'confidence-top-k': confidenceTopKOption,
} as const;

export const extractionOptionsSchema = {
  modelName: modelOptionsSchema.modelName,
  ignoreConfigKeys: modelOptionsSchema.ignoreConfigKeys,
  ...recordOptionsSchema,
  layers: z.string(),
  dtype: dtypeSchema,
  confidenceTopK: z.number().int().positive(),
};

/** The shards of a run for people, a line each, and what else is to be said of them. */
export function describeShards({
  shards,
  failures,
}: {
  shards: readonly ExtractedShard[];
  failures: number;
}): string[] {
  const lines = shards.map(({ path, traces, steps, status }) => {
    const note = status === 'kept' ? ', finished earlier' : '';
    return `  ${path} (${traces} traces, ${steps} steps${note})`;
  });
  if (failures > 0) lines.push(`${failures} traces failed: see the .failures.json beside each shard`);
  if (shards.every(({ status }) => status === 'kept')) lines.push('nothing was left to do');
  return lines;
}
