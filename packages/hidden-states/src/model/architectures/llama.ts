import { z } from 'zod';
import { commonKeys, headSizeKey } from '../config-keys.js';
import { ropeKeys, rotaryOf } from '../rope.js';
import type { Architecture } from './architecture.js';
import { headSize, llamaTensors, sameWindow, sizes } from './llama-like.js';

const config = z.object({
  model_type: z.literal('llama').optional(),
  ...commonKeys,
  ...headSizeKey,
  ...ropeKeys(),
  num_key_value_heads: commonKeys.num_key_value_heads.default(null),
  max_position_embeddings: commonKeys.max_position_embeddings.default(2048),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
});

/** Llama 2 and 3.x and what was distilled into them (arXiv 2407.21783; transformers `modeling_llama.py`). */
export const llama: Architecture<typeof config> = {
  name: 'LlamaForCausalLM',
  config,
  spec: (c) => ({
    ...sizes(c),
    headSize: headSize(c),
    queryKeyNorm: false,
    bias: { queryKeyValue: c.attention_bias, attentionOutput: c.attention_bias, mlp: c.mlp_bias },
    attentionWindows: sameWindow(c.num_hidden_layers, null),
    rotary: rotaryOf(c, headSize(c)),
  }),
  tensors: llamaTensors(),
};
