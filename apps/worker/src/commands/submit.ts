import { type Command, parseOptions } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { extractionOptions, extractionOptionsSchema } from '@scorer/hidden-states';
import { z } from 'zod';
import { DEFAULT_RETRIES } from '../queue/run-queue.js';
import type { ShardLimit } from '../run/plan.js';
import { type SubmitSummary, submit } from '../run/submit.js';
import { redisOptions, redisSchema, rootOptions, rootSchema, rootsOf, withRedis } from './common.js';

const optionsSchema = z.object({
  ...redisSchema,
  ...rootSchema,
  ...extractionOptionsSchema,
  device: z.enum(['auto', 'cpu', 'cuda']),
  confidence: z.boolean(),
  shardTokens: z.number().int().positive().optional(),
  shardSize: z.number().int().positive().optional(),
  attempts: z.number().int().positive(),
  backoff: z.number().positive(),
});

/** Three minutes of a GPU that does 10,000 tokens a second: short enough to share out, long enough to be worth it. */
const DEFAULT_SHARD_TOKENS = 2_000_000;

export const submitCommand: Command = {
  name: 'submit',
  describe: 'Plan a run and put its shards into the queue; again, it puts back what has gone missing',
  options: {
    ...extractionOptions,
    'model-name': { ...extractionOptions['model-name'], describe: 'Hugging Face model folder' },
    device: {
      choices: ['auto', 'cpu', 'cuda'],
      default: 'auto',
      describe: 'Where to compute; auto: as the first worker',
    },
    confidence: { type: 'boolean', default: false, describe: "Store each token's confidence too" },
    'shard-tokens': { type: 'number', describe: `Most tokens in one shard; default: ${DEFAULT_SHARD_TOKENS}` },
    'shard-size': { type: 'number', describe: 'Cut by so many lines instead, as scorer-hidden-states does' },
    attempts: { type: 'number', default: DEFAULT_RETRIES.attempts, describe: 'Tries at a shard before it is given up' },
    backoff: {
      type: 'number',
      default: DEFAULT_RETRIES.backoffMs / 1000,
      describe: 'Seconds before the second; doubles',
    },
    ...rootOptions,
    ...redisOptions,
  },
  examples: [['$0 submit --model-name models/Qwen3-4B --input-path pre/raw.jsonl --output-path hs/raw', '']],
  async run(args, { signal }) {
    const options = parseOptions(optionsSchema, args);
    const limit = limitOf(options);
    const roots = await rootsOf(options);
    const summary = await withRedis(options, (redis) =>
      submit(redis, {
        model: options.modelName,
        inputPath: options.inputPath,
        outputPath: options.outputPath,
        start: options.startIdx,
        end: options.endIdx,
        layers: options.layers,
        device: options.device,
        compute: options.dtype,
        storage: options.storage,
        confidence: options.confidence ? { topK: options.confidenceTopK } : undefined,
        ignoreConfigKeys: options.ignoreConfigKeys,
        limit,
        retries: { attempts: options.attempts, backoffMs: options.backoff * 1000 },
        roots,
        signal,
      }),
    );
    return { json: summary, text: describe(summary) };
  },
};

function limitOf({ shardTokens, shardSize }: z.output<typeof optionsSchema>): ShardLimit {
  if (shardTokens !== undefined && shardSize !== undefined) {
    throw new ScorerError({
      code: 'BAD_OPTION',
      kind: 'usage',
      what: 'shards are cut by tokens or by lines, not both',
      where: '--shard-tokens and --shard-size',
      hint: 'give one of them',
    });
  }
  return shardSize === undefined ? { tokens: shardTokens ?? DEFAULT_SHARD_TOKENS } : { traces: shardSize };
}

function describe({ run, shards, finished, traces, tokens, steps, bytes }: SubmitSummary): string {
  const gigabytes = (bytes / 1e9).toFixed(bytes < 1e10 ? 2 : 0);
  const lines = [
    `run ${run}: ${shards} shards of ${traces} traces, ${tokens} tokens`,
    `  ${steps} steps, ${gigabytes} GB of hidden states`,
  ];
  if (finished > 0) lines.push(`  ${finished} of the shards are there already`);
  if (finished < shards) lines.push(`start workers with: scorer-worker work --run ${run}`);
  return lines.join('\n');
}
