import { z } from 'zod';

/** The options of every command that reads a model. */
export const modelOptions = {
  'model-name': { type: 'string', demandOption: true, describe: 'Hugging Face model folder' },
  'ignore-config-keys': { type: 'string', describe: 'Unknown keys of config.json to pass over: a,b' },
} as const;

export const modelOptionsSchema = {
  modelName: z.string().min(1),
  ignoreConfigKeys: z
    .string()
    .optional()
    .transform((text) => text?.split(',').map((key) => key.trim())),
};
