import type { z } from 'zod';
import type { commonKeys } from '../config-keys.js';
import type { DecoderSpec, LayerTensorNames, TensorNames } from '../decoder-spec.js';

/** What nearly every decoder took over from Llama; a family states only in what it differs. */

type CommonConfig = z.output<z.ZodObject<typeof commonKeys>>;

/** The sizes that all families call by the same names. */
export function sizes(
  c: CommonConfig,
): Pick<
  DecoderSpec,
  | 'hiddenSize'
  | 'layerCount'
  | 'headCount'
  | 'keyValueHeadCount'
  | 'intermediateSize'
  | 'vocabularySize'
  | 'contextLength'
  | 'normEpsilon'
> {
  return {
    hiddenSize: c.hidden_size,
    layerCount: c.num_hidden_layers,
    headCount: c.num_attention_heads,
    keyValueHeadCount: c.num_key_value_heads ?? c.num_attention_heads,
    intermediateSize: c.intermediate_size,
    vocabularySize: c.vocab_size,
    contextLength: c.max_position_embeddings,
    normEpsilon: c.rms_norm_eps,
  };
}

export function headSize(c: CommonConfig & { head_dim?: number | null | undefined }): number {
  return c.head_dim ?? Math.floor(c.hidden_size / c.num_attention_heads);
}

/** Every layer attends to `window` tokens, or to all where it is null. */
export function sameWindow(layers: number, window: number | null): (number | null)[] {
  return Array.from({ length: layers }, () => window);
}

/** Llama's tensor names; `more` replaces or adds names under `model.layers.<i>.`. */
export function llamaTensors(more: Partial<LayerTensorNames> = {}): TensorNames {
  const names = {
    attentionNorm: 'input_layernorm.weight',
    query: 'self_attn.q_proj',
    key: 'self_attn.k_proj',
    value: 'self_attn.v_proj',
    attentionOutput: 'self_attn.o_proj',
    mlpNorm: 'post_attention_layernorm.weight',
    gate: 'mlp.gate_proj',
    up: 'mlp.up_proj',
    down: 'mlp.down_proj',
    ...more,
  };
  return {
    embeddings: 'model.embed_tokens.weight',
    finalNorm: 'model.norm.weight',
    head: 'lm_head.weight',
    layer: (index) =>
      Object.fromEntries(
        Object.entries(names).map(([role, name]) => [role, `model.layers.${index}.${name}`]),
      ) as unknown as LayerTensorNames,
  };
}
