import { ScorerError } from '@scorer/core/errors';
import { z } from 'zod';
import { ARCHITECTURE_NAMES, type Architecture, architectureOf } from './architectures/index.js';
import { HARMLESS_KEYS, isOff } from './config-keys.js';
import type { DecoderSpec } from './decoder-spec.js';
import { headOf } from './head.js';

const named = z.looseObject({ architectures: z.array(z.string()).min(1) });

export interface HfConfigOptions {
  /** Unknown keys to pass over, by someone who knows that they don't change the forward pass. */
  ignoreKeys?: readonly string[] | undefined;
}

/**
 * Reads the text of a Hugging Face `config.json`. Every key with a value is either read, or known not to change the
 * forward pass, or refused by name.
 * @throws ScorerError `CONFIG_INVALID`; `UNSUPPORTED_ARCHITECTURE`, with the list of those supported;
 * `UNSUPPORTED_CONFIG` for a setting that is not implemented or not known.
 */
export function readHfConfig(
  text: string,
  where: string,
  { ignoreKeys = [] }: HfConfigOptions = {},
): { spec: DecoderSpec; architecture: Architecture } {
  const config = parse(text, where);
  const { architectures } = check(named, config, where);
  const name = architectures[0]!;
  const architecture = architectureOf(name);
  if (!architecture) {
    throw new ScorerError({
      code: 'UNSUPPORTED_ARCHITECTURE',
      what: `architecture ${name} is not supported`,
      where,
      hint: `supported are ${ARCHITECTURE_NAMES.join(', ')}`,
    });
  }
  refuseUnknownKeys(config as Record<string, unknown>, architecture, where, ignoreKeys);
  const sizes = architecture.spec(check(architecture.config, config, where));
  checkHeads(sizes, where);
  return {
    spec: { architecture: name, ...sizes, head: headOf(config as Record<string, unknown>) },
    architecture,
  };
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ScorerError({ code: 'CONFIG_INVALID', what: 'config.json is not JSON', where, cause });
  }
}

function checkHeads(
  { headCount, keyValueHeadCount, headSize }: Pick<DecoderSpec, 'headCount' | 'keyValueHeadCount' | 'headSize'>,
  where: string,
): void {
  const invalid = (what: string): ScorerError => new ScorerError({ code: 'CONFIG_INVALID', what, where });
  if (headSize === 0) throw invalid(`hidden_size is less than num_attention_heads (${headCount})`);
  if (headCount % keyValueHeadCount !== 0) {
    throw invalid(`num_attention_heads (${headCount}) is no multiple of num_key_value_heads (${keyValueHeadCount})`);
  }
}

/**
 * transformers itself passes over keys that it does not know, but a file may come from a newer version or a fork, and
 * states that are silently wrong cost more than a refusal with a way out.
 */
function refuseUnknownKeys(
  config: Record<string, unknown>,
  { name, config: schema }: Architecture,
  where: string,
  ignoreKeys: readonly string[],
): void {
  const unknown = Object.keys(config).filter(
    (key) =>
      // Underscores mark transformers' own bookkeeping: _name_or_path, _attn_implementation.
      !(key in schema.shape || HARMLESS_KEYS.has(key) || key.startsWith('_') || isOff(config[key])) &&
      !ignoreKeys.includes(key),
  );
  if (unknown.length === 0) return;
  throw new ScorerError({
    code: 'UNSUPPORTED_CONFIG',
    what: `${unknown.join(', ')}: not known for ${name}`,
    where,
    hint: `if this does not change the forward pass, add --ignore-config-keys ${unknown.join(',')}`,
  });
}

function check<Schema extends z.ZodType>(schema: Schema, config: unknown, where: string): z.output<Schema> {
  const parsed = schema.safeParse(config);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  // A value or key outside of a fixed list is a legal setting that this package does not implement.
  const unsupported = issue.code === 'invalid_value' || issue.code === 'unrecognized_keys';
  throw new ScorerError({
    code: unsupported ? 'UNSUPPORTED_CONFIG' : 'CONFIG_INVALID',
    what: [issue.path.join('.'), issue.message].filter(Boolean).join(': '),
    where,
    hint: unsupported
      ? 'this changes the forward pass, so the model is refused rather than computed wrongly'
      : 'check that config.json is whole and of this architecture',
    cause: parsed.error,
  });
}
