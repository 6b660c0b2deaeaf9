import { ScorerError } from '@scorer/core/errors';
import { z } from 'zod';
import { isOff } from './config-keys.js';
import type { Head } from './decoder-spec.js';
import type { DecoderModel } from './load-model.js';

/**
 * Keys of config.json by which some families scale, cap or shift the logits (Gemma 2, Granite, Cohere, Falcon-H1,
 * PhiMoE): nothing to hidden states, but another distribution than the head's alone.
 */
const LOGIT_KEYS = ['final_logit_softcapping', 'logits_scaling', 'logit_scale', 'lm_head_multiplier', 'lm_head_bias'];

const headSchema = z.looseObject({ tie_word_embeddings: z.boolean().nullish() });

/** What config.json says of the head; of a key that nobody reads a wrong type says nothing. */
export function headOf(config: Readonly<Record<string, unknown>>): Head {
  const { data } = headSchema.safeParse(config);
  // All supported families have it off by default.
  return {
    tied: data?.tie_word_embeddings ?? false,
    changedBy: LOGIT_KEYS.filter((key) => key in config && !isOff(config[key])),
  };
}

/**
 * Name of the tensor [V, D] that gives the logits.
 * @throws ScorerError `UNSUPPORTED_CONFIG` where config.json changes logits in a way that is not implemented;
 * `HEAD_MISSING` where the model was saved without its head
 */
export function headTensor({ spec, architecture, weights, folder }: DecoderModel): string {
  const { tied, changedBy } = spec.head;
  if (changedBy.length > 0) {
    throw new ScorerError({
      code: 'UNSUPPORTED_CONFIG',
      what: `${changedBy.join(', ')}: changes the logits, which is not implemented`,
      where: folder,
      hint: 'hidden states do not depend on it: leave out --confidence',
    });
  }
  const { embeddings, head } = architecture.tensors;
  // Files that say tied and hold a head all the same are read as transformers 5 reads them.
  const name = tied && !weights.tensors.has(head) ? embeddings : head;
  if (weights.tensors.has(name)) return name;
  throw new ScorerError({
    code: 'HEAD_MISSING',
    what: `tensor ${name} is missing: there are no logits without it`,
    where: folder,
    hint: 'use a model that was saved with its head (…ForCausalLM), or leave out --confidence',
  });
}
