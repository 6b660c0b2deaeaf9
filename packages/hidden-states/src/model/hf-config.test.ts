import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { MAX_EXPERTS, MAX_LAYERS, MAX_POSITION, MAX_VOCABULARY, MAX_WIDTH } from './config-keys.js';
import { readHfConfig } from './hf-config.js';

const TINY: Record<string, unknown> = JSON.parse(
  readFileSync(new URL('../../../../apps/demo/data/model/config.json', import.meta.url), 'utf8'),
);
// Its other keys are read as those of other families too.
delete TINY.model_type;

/** config.json of released models, by their names. */
const PUBLISHED: Record<string, unknown> = JSON.parse(
  readFileSync(new URL('./fixtures/published-configs.json', import.meta.url), 'utf8'),
);

const read = (changes: Record<string, unknown>) =>
  readHfConfig(JSON.stringify({ ...TINY, ...changes }), 'config.json').spec;

describe('config.json', () => {
  test('of a Qwen3 model becomes a decoder spec', () => {
    expect(read({})).toMatchObject({
      architecture: 'Qwen3ForCausalLM',
      hiddenSize: 192,
      layerCount: 5,
      headCount: 4,
      keyValueHeadCount: 2,
      headSize: 64,
      queryKeyNorm: true,
    });
  });

  test('gives the same rotary frequencies in the form of transformers 5 and in the older one', () => {
    const old = read({ rope_parameters: undefined, rope_theta: 10000, rope_scaling: null });
    expect(old.rotary).toEqual(read({}).rotary);
    expect(old.rotary.inverseFrequencies.length).toBe(32);
    expect(read({ rope_parameters: { rope_theta: 1e6, rope_type: 'default' } }).rotary).not.toEqual(old.rotary);
  });

  test('of an unknown architecture is refused by name, with the list of those supported', () => {
    expect(() => read({ architectures: ['MambaForCausalLM'] })).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED_ARCHITECTURE',
        message: expect.stringMatching(/MambaForCausalLM.*supported are .*Qwen3ForCausalLM/),
      }),
    );
  });

  test.each([
    ['rope_scaling', { type: 'dynamic', factor: 2 }],
    ['rope_scaling', { type: 'default', mrope_section: [16, 24, 24] }],
    ['rope_parameters', { rope_type: 'proportional', rope_theta: 10000 }],
    ['partial_rotary_factor', 0.5],
    ['hidden_act', 'gelu'],
    ['layer_types', ['full_attention', 'linear_attention']],
    ['quantization_config', { quant_method: 'fp8' }],
    ['attn_logit_softcapping', 50],
    ['num_experts', 8],
    // transformers goes by these two, whatever the class is called and whatever is known of the family.
    ['model_type', 'llama'],
    ['is_causal', false],
    ['is_causal', null],
  ])('with a %s that is not implemented is refused rather than computed wrongly', (key, value) => {
    expect(() => read({ [key]: value })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_CONFIG', message: expect.stringContaining(key) }),
    );
  });

  test('may hold unknown keys that are off, or that the caller vouches for', () => {
    const plain = read({});
    expect(read({ use_mrope: false, sliding_chunks: null, exotic_layers: [], _private: 1 })).toEqual(plain);
    expect(read({ model_type: 'qwen3', is_causal: true })).toEqual(plain);
    const text = JSON.stringify({ ...TINY, exotic_layers: [1] });
    expect(() => readHfConfig(text, 'config.json')).toThrow(/--ignore-config-keys exotic_layers/);
    expect(readHfConfig(text, 'config.json', { ignoreKeys: ['exotic_layers'] }).spec).toEqual(plain);
  });

  test('says which layers slide, by layer_types or from max_window_layers on', () => {
    const windows = (changes: Record<string, unknown>) =>
      read({ use_sliding_window: true, sliding_window: 9, layer_types: null, ...changes }).attentionWindows;
    expect(windows({ max_window_layers: 3 })).toEqual([null, null, null, 9, 9]);
    const types = ['full_attention', 'sliding_attention', 'full_attention', 'full_attention', 'sliding_attention'];
    expect(windows({ layer_types: types })).toEqual([null, 9, null, null, 9]);
    expect(windows({ use_sliding_window: false, max_window_layers: 0 })).toEqual([null, null, null, null, null]);
    expect(() => windows({ layer_types: types.slice(1) })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(() => windows({ layer_types: types, use_sliding_window: false })).toThrow(/layer_types/);
  });

  describe('of a Qwen3-MoE model', () => {
    const family = { architectures: ['Qwen3MoeForCausalLM'], layer_types: null };
    const moe = (changes: Record<string, unknown>) =>
      read({ ...family, num_experts: 8, num_experts_per_tok: 2, ...changes });

    test('says which layers have experts, and how a token takes them', () => {
      expect(moe({ moe_intermediate_size: 24, norm_topk_prob: true }).experts).toEqual({
        inLayer: [true, true, true, true, true],
        count: 8,
        perToken: 2,
        intermediateSize: 24,
        normalizedWeights: true,
      });
      expect(moe({ decoder_sparse_step: 2 }).experts?.inLayer).toEqual([false, true, false, true, false]);
      expect(moe({ mlp_only_layers: [0, 4] }).experts?.inLayer).toEqual([false, true, true, true, false]);
      expect(moe({ mlp_only_layers: null }).experts?.normalizedWeights).toBe(false);
      expect(moe({ num_experts: 0 }).experts).toBeUndefined();
      expect(moe({ mlp_only_layers: [0, 1, 2, 3, 4] }).experts).toBeUndefined();
    });

    test('calls the number of experts by its older or newer name, not by two that differ', () => {
      expect(moe({ num_experts: undefined, num_local_experts: 8 })).toEqual(moe({}));
      expect(moe({ num_local_experts: 8 })).toEqual(moe({}));
      expect(() => moe({ num_local_experts: 6 })).toThrow(/num_local_experts: differs from num_experts/);
    });

    test('has no more experts than a graph can hold, and for a token no more than there are', () => {
      const invalid = expect.objectContaining({ code: 'CONFIG_INVALID' });
      expect(() => moe({ num_experts: 1e9 })).toThrow(invalid);
      expect(() => moe({ num_experts_per_tok: 9 })).toThrow(invalid);
    });

    test('slides in every layer or in none, as transformers reads it', () => {
      const slides = { use_sliding_window: true, sliding_window: 9, max_window_layers: 3 };
      expect(moe(slides).attentionWindows).toEqual([9, 9, 9, 9, 9]);
      expect(moe({ ...slides, use_sliding_window: false }).attentionWindows).toEqual([null, null, null, null, null]);
    });

    test('has settings of training, and none of other families', () => {
      expect(moe({ router_aux_loss_coef: 0.5, output_router_logits: true })).toEqual(moe({}));
      expect(() => moe({ shared_expert_intermediate_size: 64 })).toThrow(/shared_expert_intermediate_size/);
      expect(() => moe({ n_group: 4 })).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_CONFIG' }));
    });
  });

  test.each([
    ['Qwen/Qwen3-30B-A3B', { headSize: 128, contextLength: 40960, experts: { count: 128, perToken: 8 } }],
    [
      'Qwen/Qwen3-30B-A3B-Thinking-2507, saved by transformers 5',
      { contextLength: 262144, experts: { count: 128, intermediateSize: 768, normalizedWeights: true } },
    ],
    // YaRN's own temperature: its attn_factor is passed over, as in transformers.
    ['deepseek-ai/DeepSeek-R1-0528-Qwen3-8B', { headSize: 128, rotary: { scaling: 0.1 * Math.log(4) + 1 } }],
    ['deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B, saved by transformers 4.48', { bias: { queryKeyValue: true } }],
    ['meta-llama/Llama-3.2-1B-Instruct', { headSize: 64, normEpsilon: 1e-5 }],
    ['microsoft/Phi-3-medium-4k-instruct', { attentionWindows: Array(40).fill(2047) }],
  ])('of %s is accepted with every key that it has', (name, spec) => {
    expect(readHfConfig(JSON.stringify(PUBLISHED[name]), 'config.json').spec).toMatchObject(spec);
  });

  describe('with a number that no model has is refused before anything is made in proportion:', () => {
    const qwen2 = { architectures: ['Qwen2ForCausalLM'] };
    const llama = { architectures: ['LlamaForCausalLM'], layer_types: null, max_window_layers: null };
    const mistral = { ...llama, architectures: ['MistralForCausalLM'], use_sliding_window: null };
    const phi3 = { ...mistral, architectures: ['Phi3ForCausalLM'] };
    const moe = { architectures: ['Qwen3MoeForCausalLM'], layer_types: null, num_experts: 8, num_experts_per_tok: 2 };
    const all = { qwen3: {}, qwen2, llama, mistral, phi3, moe };
    test.each([
      ['num_hidden_layers', MAX_LAYERS, all],
      ['hidden_size', MAX_WIDTH, all],
      ['intermediate_size', MAX_WIDTH, all],
      ['num_attention_heads', MAX_WIDTH, all],
      ['num_key_value_heads', MAX_WIDTH, all],
      ['head_dim', MAX_WIDTH, all],
      ['vocab_size', MAX_VOCABULARY, all],
      ['max_position_embeddings', MAX_POSITION, all],
      ['sliding_window', MAX_POSITION, { qwen3: {}, qwen2, mistral, phi3, moe }],
      ['num_experts', MAX_EXPERTS, { moe }],
      ['moe_intermediate_size', MAX_WIDTH, { moe }],
    ])('%s, %i at most', (key, limit, families) => {
      for (const [name, family] of Object.entries(families)) {
        expect(() => read(family), name).not.toThrow();
        for (const value of [limit + 1, 1e9, 1e15, Number.MAX_SAFE_INTEGER].filter((number) => number > limit)) {
          expect(() => read({ ...family, [key]: value }), `${name}: ${value}`).toThrow(
            expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(key) }),
          );
        }
      }
    });

    test('a length of the first training beyond all places of tokens', () => {
      const scaling = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 2 ** 31 };
      expect(() => read({ rope_scaling: scaling })).toThrow(/original_max_position_embeddings/);
    });

    test('more mlp_only_layers than there can be layers', () => {
      expect(() => read({ ...moe, mlp_only_layers: Array(MAX_LAYERS + 1).fill(0) })).toThrow(/mlp_only_layers/);
    });
  });

  test('whose heads do not share keys equally, or are of no size, is invalid', () => {
    const invalid = expect.objectContaining({ code: 'CONFIG_INVALID' });
    expect(() => read({ num_key_value_heads: 3 })).toThrow(/num_attention_heads \(4\).*num_key_value_heads \(3\)/);
    const llama = { architectures: ['LlamaForCausalLM'], layer_types: null, max_window_layers: null, head_dim: null };
    expect(() => read({ ...llama, num_attention_heads: 200, num_key_value_heads: 1 })).toThrow(invalid);
  });

  test('may say 0 for the bounds of YaRN that are unset, as transformers reads them', () => {
    const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 32 };
    const unset = read({ rope_scaling: { ...yarn, beta_fast: 0, beta_slow: 0 } });
    expect(unset.rotary).toEqual(read({ rope_scaling: yarn }).rotary);
  });

  test('whose rotary rule lacks a key is invalid', () => {
    expect(() => read({ rope_scaling: { rope_type: 'linear' } })).toThrow(/factor is missing.*linear/);
    expect(() => read({ rope_scaling: { rope_type: 'longrope', short_factor: [1], long_factor: [1] } })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });

  test('that lacks a size or is not JSON is invalid', () => {
    expect(() => read({ hidden_size: undefined })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(() => readHfConfig('{', 'config.json')).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});
