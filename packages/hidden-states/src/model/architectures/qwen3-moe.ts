import { z } from 'zod';
import {
  commonKeys,
  countUpTo,
  headSizeKey,
  MAX_EXPERTS,
  MAX_LAYERS,
  MAX_POSITION,
  MAX_WIDTH,
} from '../config-keys.js';
import type { Experts } from '../decoder-spec.js';
import { ropeKeys, rotaryOf } from '../rope.js';
import type { Architecture } from './architecture.js';
import { headSize, llamaTensors, sameWindow, sizes } from './llama-like.js';

const DEFAULT_EXPERTS = 128;

const numberOfExperts = z.int().nonnegative().max(MAX_EXPERTS).nullish();

const keys = z.object({
  model_type: z.literal('qwen3_moe').optional(),
  ...commonKeys,
  ...headSizeKey,
  ...ropeKeys(),
  attention_bias: z.boolean().default(false),
  use_sliding_window: z.boolean().nullable().default(false),
  sliding_window: countUpTo(MAX_POSITION).nullable().default(4096),
  // Qwen3's choice of sliding layers stands in these files too, and transformers passes over it: all slide or none.
  max_window_layers: z.int().nonnegative().nullish(),
  num_experts: numberOfExperts,
  // As transformers 5 calls it.
  num_local_experts: numberOfExperts,
  num_experts_per_tok: z.int().positive().default(8),
  moe_intermediate_size: countUpTo(MAX_WIDTH).default(768),
  norm_topk_prob: z.boolean().default(false),
  decoder_sparse_step: z.int().positive().default(1),
  mlp_only_layers: z.array(z.int().nonnegative()).max(MAX_LAYERS, { abort: true }).nullable().default([]),
  // A loss of training, and what a call returns.
  router_aux_loss_coef: z.number().nullish(),
  output_router_logits: z.boolean().nullish(),
});

type Config = z.output<typeof keys>;

const config = keys
  .refine((c) => expertCount(c) === (c.num_experts ?? expertCount(c)), {
    path: ['num_local_experts'],
    message: 'differs from num_experts',
  })
  .refine((c) => !hasExperts(c) || c.num_experts_per_tok <= expertCount(c), {
    path: ['num_experts_per_tok'],
    message: 'is more than there are experts',
  });

function expertCount({ num_experts, num_local_experts }: Config): number {
  return num_local_experts ?? num_experts ?? DEFAULT_EXPERTS;
}

function layersWithExperts(c: Config): boolean[] {
  return Array.from(
    { length: c.num_hidden_layers },
    (_, i) => expertCount(c) > 0 && !c.mlp_only_layers?.includes(i) && (i + 1) % c.decoder_sparse_step === 0,
  );
}

function hasExperts(c: Config): boolean {
  return layersWithExperts(c).includes(true);
}

function experts(c: Config): Experts {
  return {
    inLayer: layersWithExperts(c),
    count: expertCount(c),
    perToken: c.num_experts_per_tok,
    intermediateSize: c.moe_intermediate_size,
    normalizedWeights: c.norm_topk_prob,
  };
}

/** Qwen3 with experts: Qwen3-30B-A3B, Qwen3-235B-A22B (arXiv 2505.09388; transformers `modeling_qwen3_moe.py`). */
export const qwen3Moe: Architecture<typeof config> = {
  name: 'Qwen3MoeForCausalLM',
  config,
  spec: (c) => ({
    ...sizes(c),
    headSize: headSize(c),
    queryKeyNorm: true,
    bias: { queryKeyValue: c.attention_bias, attentionOutput: c.attention_bias, mlp: false },
    attentionWindows: sameWindow(c.num_hidden_layers, c.use_sliding_window ? c.sliding_window : null),
    rotary: rotaryOf(c, headSize(c)),
    ...(hasExperts(c) && { experts: experts(c) }),
  }),
  tensors: llamaTensors({
    queryNorm: 'self_attn.q_norm.weight',
    keyNorm: 'self_attn.k_norm.weight',
    router: 'mlp.gate',
    experts: 'mlp.experts',
  }),
};
