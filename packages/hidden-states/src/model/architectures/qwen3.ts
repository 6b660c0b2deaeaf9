import { z } from 'zod';
import { commonKeys, countUpTo, MAX_WIDTH } from '../config-keys.js';
import { ropeKeys, rotaryOf } from '../rope.js';
import type { Architecture } from './architecture.js';
import { llamaTensors, sizes } from './llama-like.js';
import { qwenWindows, windowKeys, windowsAreWhole } from './qwen-windows.js';

const config = z
  .object({
    model_type: z.literal('qwen3').optional(),
    ...commonKeys,
    ...ropeKeys(),
    ...windowKeys,
    head_dim: countUpTo(MAX_WIDTH).default(128),
    attention_bias: z.boolean().default(false),
  })
  .refine(windowsAreWhole, { path: ['layer_types'], message: 'does not fit the number of layers or the window' });

/** Qwen3 dense models (arXiv 2505.09388; transformers `modeling_qwen3.py`). */
export const qwen3: Architecture<typeof config> = {
  name: 'Qwen3ForCausalLM',
  config,
  spec: (c) => ({
    ...sizes(c),
    headSize: c.head_dim,
    queryKeyNorm: true,
    bias: { queryKeyValue: c.attention_bias, attentionOutput: c.attention_bias, mlp: false },
    attentionWindows: qwenWindows(c),
    rotary: rotaryOf(c, c.head_dim),
  }),
  tensors: llamaTensors({ queryNorm: 'self_attn.q_norm.weight', keyNorm: 'self_attn.k_norm.weight' }),
};
