import { z } from 'zod';
import { commonKeys, countUpTo, headSizeKey, MAX_POSITION } from '../config-keys.js';
import { ropeKeys, rotaryOf } from '../rope.js';
import type { Architecture } from './architecture.js';
import { headSize, llamaTensors, sameWindow, sizes } from './llama-like.js';

const config = z.object({
  model_type: z.literal('mistral').optional(),
  ...commonKeys,
  ...headSizeKey,
  ...ropeKeys(),
  sliding_window: countUpTo(MAX_POSITION).nullable().default(4096),
});

/** Mistral (arXiv 2310.06825; transformers `modeling_mistral.py`): every layer slides, or none. */
export const mistral: Architecture<typeof config> = {
  name: 'MistralForCausalLM',
  config,
  spec: (c) => ({
    ...sizes(c),
    headSize: headSize(c),
    queryKeyNorm: false,
    bias: { queryKeyValue: false, attentionOutput: false, mlp: false },
    attentionWindows: sameWindow(c.num_hidden_layers, c.sliding_window),
    rotary: rotaryOf(c, headSize(c)),
  }),
  tensors: llamaTensors(),
};
