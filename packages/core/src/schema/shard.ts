import { z } from 'zod';

export const SHARD_FORMAT = 'scorer.hidden-states';
export const SHARD_VERSION = '1';

/** How hidden states are stored; the names are those of safetensors. */
export const storageSchema = z.enum(['F16', 'BF16', 'F32']);
export type Storage = z.output<typeof storageSchema>;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'not a SHA-256 in hex');
const count = z.string().regex(/^\d+$/, 'not a count').transform(Number);

/** A JSON array of layer numbers, ascending; 0 = embeddings, k = after layer k, the last = after the final norm. */
const layers = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'not a JSON array' });
      return z.NEVER;
    }
  })
  .pipe(z.array(z.number().int().nonnegative()).min(1));

/** `__metadata__` of a shard as it stands in the file, string to string, read into values. */
export const shardMetadataSchema = z.object({
  format: z.literal(SHARD_FORMAT),
  version: z.literal(SHARD_VERSION),
  layers,
  hidden_size: count,
  /** Base name of the model's folder. */
  model: z.string(),
  /** SHA-256 over config, tokenizer and weights. */
  model_fingerprint: sha256,
  /** SHA-256 of the step-record lines that the shard was made from. */
  input_fingerprint: sha256,
  dtype: z.string(),
  device: z.string(),
  runtime: z.string(),
  /** SHA-256 of the data section, so that a flipped bit is found. */
  data_sha256: sha256,
  /** Present where tokens have a confidence: over how many of the most probable ones. */
  confidence_top_k: count.refine((k) => k > 0, 'not positive').optional(),
  /** Beside it, where the maker says: computed by the model, or from the field `logprobs` of the step records. */
  confidence_from: z.enum(['model', 'field']).optional(),
});

export type ShardMetadata = z.output<typeof shardMetadataSchema>;

/** What the maker of a shard says of it; the rest of the metadata follows from the shard itself. */
export type ShardOrigin = Pick<
  ShardMetadata,
  'model' | 'model_fingerprint' | 'input_fingerprint' | 'dtype' | 'device' | 'runtime' | 'confidence_from'
>;
