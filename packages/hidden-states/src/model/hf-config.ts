import { ScorerError } from '@scorer/core/errors';
import { z } from 'zod';
import { ARCHITECTURES, type Architecture } from './architectures/index.js';
import type { DecoderSpec } from './decoder-spec.js';

const named = z.looseObject({ architectures: z.array(z.string()).min(1) });

/**
 * Reads the text of a Hugging Face `config.json`.
 * @throws ScorerError `CONFIG_INVALID`; `UNSUPPORTED_ARCHITECTURE`, with the list of those supported;
 * `UNSUPPORTED_CONFIG` for a key whose value asks for arithmetic that is not implemented.
 */
export function readHfConfig(text: string, where: string): { spec: DecoderSpec; architecture: Architecture } {
  const config = parse(text, where);
  const { architectures } = check(named, config, where);
  const name = architectures[0]!;
  const architecture = ARCHITECTURES.get(name);
  if (!architecture) {
    throw new ScorerError({
      code: 'UNSUPPORTED_ARCHITECTURE',
      what: `architecture ${name} is not supported`,
      where,
      hint: `supported are ${[...ARCHITECTURES.keys()].join(', ')}`,
    });
  }
  return { spec: architecture.spec(check(architecture.config, config, where)), architecture };
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ScorerError({ code: 'CONFIG_INVALID', what: 'config.json is not JSON', where, cause });
  }
}

function check<Schema extends z.ZodType>(schema: Schema, config: unknown, where: string): z.output<Schema> {
  const parsed = schema.safeParse(config);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const key = issue.path.join('.');
  throw new ScorerError({
    // A literal that does not match is a legal setting that this package does not implement.
    code: issue.code === 'invalid_value' ? 'UNSUPPORTED_CONFIG' : 'CONFIG_INVALID',
    what: `${key}: ${issue.message}`,
    where,
    hint: 'this changes the forward pass, so the model is refused rather than computed wrongly',
    cause: parsed.error,
  });
}
