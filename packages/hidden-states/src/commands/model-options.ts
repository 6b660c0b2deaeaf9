import { deviceWishSchema } from '@scorer/core/onnx';
import { z } from 'zod';
import { DEFAULT_TOP_K } from '../graph/confidence.js';
import type { ComputeType } from '../graph/graph-weights.js';

/** The options of every command that reads a model. */
export const modelOptions = {
  'model-name': {
    type: 'string',
    alias: 'model',
    demandOption: true,
    describe: 'Model folder, hub id (owner/name), or .onnx file',
  },
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

/** As the functions that read a model take them. */
export function modelSettings(options: z.output<z.ZodObject<typeof modelOptionsSchema>>) {
  return { model: options.modelName, revision: options.revision, ignoreConfigKeys: options.ignoreConfigKeys };
}

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

/** The options of commands that compute. */
export const computeOptions = {
  device: { type: 'string', default: 'auto', describe: 'auto, cpu, cuda, or cuda:1 for the second card' },
  threads: { type: 'number', describe: 'CPU threads; default: the physical cores' },
} as const;

export const computeOptionsSchema = {
  device: deviceWishSchema,
  threads: z.number().int().positive().optional(),
};

export const layerGroupsOption = {
  type: 'string',
  default: 'auto',
  describe: 'auto or n: layers in n groups, one in memory at a time; auto: as few as fit',
} as const;

/** A number of groups is a whole one, from 1. */
export const layerGroupsSchema = z
  .string()
  .regex(/^(auto|[1-9]\d*)$/, 'neither auto nor a number of groups')
  .transform((text) => (text === 'auto' ? text : Number(text)));

export const confidenceTopKOption = {
  type: 'number',
  default: DEFAULT_TOP_K,
  describe: 'How many of the most probable tokens a confidence is the mean over',
} as const;
