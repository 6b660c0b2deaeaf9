import { z } from 'zod';
import type { ComputeType } from '../graph/graph-weights.js';

/** The options of every command that reads a model. */
export const modelOptions = {
  'model-name': { type: 'string', demandOption: true, describe: 'Model folder, or hub id (owner/name)' },
  revision: { type: 'string', describe: 'Branch, tag or commit of a hub model [default: main]' },
  'ignore-config-keys': { type: 'string', describe: 'Unknown keys of config.json to pass over: a,b' },
} as const;

export const modelOptionsSchema = {
  modelName: z.string().min(1),
  revision: z.string().min(1).optional(),
  ignoreConfigKeys: z
    .string()
    .optional()
    .transform((text) => text?.split(',').map((key) => key.trim())),
};

/** Short names first, and those that the metadata of a shard uses. */
const DTYPES: Readonly<Record<string, ComputeType | undefined>> = {
  auto: undefined,
  fp32: 'float32',
  fp16: 'float16',
  bf16: 'bfloat16',
  float32: 'float32',
  float16: 'float16',
  bfloat16: 'bfloat16',
};

export const dtypeOption = {
  choices: Object.keys(DTYPES),
  default: 'auto',
  describe: 'Arithmetic; auto: fp32 on cpu, bf16 on cuda',
} as const;

export const dtypeSchema = z.string().transform((name) => DTYPES[name]);
