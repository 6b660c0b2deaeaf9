import { type Command, parseOptions } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { z } from 'zod';
import { extract } from '../run/extract.js';
import type { ExtractSummary } from '../run/summary.js';
import {
  computeOptions,
  computeOptionsSchema,
  confidenceTopKOption,
  dtypeOption,
  dtypeSchema,
  layerGroupsOption,
  layerGroupsSchema,
  modelOptions,
  modelOptionsSchema,
  modelSettings,
} from './model-options.js';
import { describeShards, layersOption, shardOptions, shardOptionsSchema, shardSettings } from './shard-options.js';

const confidenceSchema = z
  .enum(['', 'model', 'field'])
  .transform((from) => from || 'model')
  .optional();

const optionsSchema = z.object({
  ...modelOptionsSchema,
  ...shardOptionsSchema,
  layers: z.string(),
  ...computeOptionsSchema,
  confidence: confidenceSchema,
  confidenceTopK: z.number().int().positive(),
  dtype: dtypeSchema,
  shard: z.string().optional(),
  layerGroups: layerGroupsSchema,
});

export const extractCommand: Command = {
  name: 'extract',
  describe: 'Run step records through a model and store the hidden states at the step ends',
  isDefault: true,
  options: {
    ...modelOptions,
    ...shardOptions,
    layers: layersOption,
    confidence: {
      type: 'string',
      describe: "Store each token's confidence: computed (model, or no value), or from the records' logprobs (field)",
    },
    'confidence-top-k': confidenceTopKOption,
    ...computeOptions,
    dtype: dtypeOption,
    shard: { type: 'string', describe: 'i/n: of the files, make number i, i+n, … (i from 0)' },
    'layer-groups': layerGroupsOption,
  },
  examples: [
    [
      '$0 --model-name models/Qwen3-4B --input-path pre/raw.jsonl --output-path hs/raw',
      'one file for every 1000 traces',
    ],
  ],
  hasEvents: true,
  async run(args, { signal, log, onProgress, onEvent }) {
    const options = parseOptions(optionsSchema, args);
    const summary = await extract({
      ...modelSettings(options),
      ...shardSettings(options),
      layers: options.layers,
      device: options.device,
      confidence: options.confidence && { from: options.confidence, topK: options.confidenceTopK },
      compute: options.dtype,
      ...(options.shard !== undefined && { part: parsePart(options.shard) }),
      threads: options.threads,
      layerGroups: options.layerGroups,
      signal,
      onProgress,
      onEvent,
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
  const computed = `layers ${layers.join(', ')} of ${hidden_size} values, ${dtype} on ${device}`;
  return [`${traces} traces, ${steps} steps; ${computed}`, ...describeShards({ shards, failures })].join('\n');
}
