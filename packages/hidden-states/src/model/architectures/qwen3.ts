import { z } from 'zod';
import { inverseFrequencies, ropeConfig, ropeTheta } from '../rope.js';
import type { Architecture } from './architecture.js';

const config = z
  .looseObject({
    hidden_size: z.number().int().positive(),
    intermediate_size: z.number().int().positive(),
    num_hidden_layers: z.number().int().positive(),
    num_attention_heads: z.number().int().positive(),
    num_key_value_heads: z.number().int().positive(),
    head_dim: z.number().int().positive().multipleOf(2).default(128),
    vocab_size: z.number().int().positive(),
    max_position_embeddings: z.number().int().positive(),
    rms_norm_eps: z.number().positive(),
    hidden_act: z.literal('silu'),
    attention_bias: z.boolean().default(false),
    use_sliding_window: z.literal(false).default(false),
    layer_types: z.array(z.literal('full_attention')).nullish(),
    quantization_config: z.literal(null).optional(),
  })
  .and(ropeConfig);

/** Qwen3 dense models (arXiv 2505.09388; transformers `modeling_qwen3.py`). */
export const qwen3: Architecture<typeof config> = {
  name: 'Qwen3ForCausalLM',
  config,
  spec: (c) => ({
    architecture: 'Qwen3ForCausalLM',
    hiddenSize: c.hidden_size,
    layerCount: c.num_hidden_layers,
    headCount: c.num_attention_heads,
    keyValueHeadCount: c.num_key_value_heads,
    headSize: c.head_dim,
    intermediateSize: c.intermediate_size,
    vocabularySize: c.vocab_size,
    contextLength: c.max_position_embeddings,
    normEpsilon: c.rms_norm_eps,
    queryKeyNorm: true,
    bias: { queryKeyValue: c.attention_bias, attentionOutput: c.attention_bias },
    rotary: { inverseFrequencies: inverseFrequencies(ropeTheta(c), c.head_dim) },
  }),
  tensors: {
    embeddings: 'model.embed_tokens.weight',
    finalNorm: 'model.norm.weight',
    layer: (i) => ({
      attentionNorm: `model.layers.${i}.input_layernorm.weight`,
      query: `model.layers.${i}.self_attn.q_proj`,
      key: `model.layers.${i}.self_attn.k_proj`,
      value: `model.layers.${i}.self_attn.v_proj`,
      queryNorm: `model.layers.${i}.self_attn.q_norm.weight`,
      keyNorm: `model.layers.${i}.self_attn.k_norm.weight`,
      attentionOutput: `model.layers.${i}.self_attn.o_proj`,
      mlpNorm: `model.layers.${i}.post_attention_layernorm.weight`,
      gate: `model.layers.${i}.mlp.gate_proj`,
      up: `model.layers.${i}.mlp.up_proj`,
      down: `model.layers.${i}.mlp.down_proj`,
    }),
  },
};
