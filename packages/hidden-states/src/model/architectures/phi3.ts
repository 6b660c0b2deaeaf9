import { z } from 'zod';
import { commonKeys, countUpTo, headSizeKey, MAX_POSITION } from '../config-keys.js';
import { ropeKeys, rotaryOf } from '../rope.js';
import type { Architecture } from './architecture.js';
import { headSize, llamaTensors, sameWindow, sizes } from './llama-like.js';

const rope = ropeKeys({
  // Early files say su or yarn for what became LongRoPE.
  types: { default: 'default', longrope: 'longrope', su: 'longrope', yarn: 'longrope' },
  partial: true,
});

const config = z.object({
  model_type: z.literal('phi3').optional(),
  ...commonKeys,
  ...headSizeKey,
  ...rope,
  num_key_value_heads: commonKeys.num_key_value_heads.default(null),
  max_position_embeddings: commonKeys.max_position_embeddings.default(4096),
  original_max_position_embeddings: rope.original_max_position_embeddings.default(4096),
  rms_norm_eps: z.number().positive().default(1e-5),
  sliding_window: countUpTo(MAX_POSITION).nullish(),
  // Settings of Microsoft's own code, at the values that transformers' stands for.
  attention_bias: z.literal(false).optional(),
  mlp_bias: z.literal(false).optional(),
  full_attn_mod: z.literal(1).optional(),
  interpolate_factor: z.literal(1).optional(),
});

/** Phi-3, Phi-4 and Phi-4-mini (arXiv 2404.14219; transformers `modeling_phi3.py`). */
export const phi3: Architecture<typeof config> = {
  name: 'Phi3ForCausalLM',
  config,
  spec: (c) => ({
    ...sizes(c),
    headSize: headSize(c),
    queryKeyNorm: false,
    bias: { queryKeyValue: false, attentionOutput: false, mlp: false },
    attentionWindows: sameWindow(c.num_hidden_layers, c.sliding_window ?? null),
    rotary: rotaryOf(c, headSize(c)),
  }),
  tensors: llamaTensors({
    query: 'self_attn.qkv_proj',
    key: 'self_attn.qkv_proj',
    value: 'self_attn.qkv_proj',
    gate: 'mlp.gate_up_proj',
    up: 'mlp.gate_up_proj',
  }),
};
