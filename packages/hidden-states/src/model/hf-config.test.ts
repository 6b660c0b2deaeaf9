import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readHfConfig } from './hf-config.js';

const TINY: Record<string, unknown> = JSON.parse(
  readFileSync(new URL('../../../../apps/demo/data/model/config.json', import.meta.url), 'utf8'),
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
  ])('with a %s that is not implemented is refused rather than computed wrongly', (key, value) => {
    expect(() => read({ [key]: value })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_CONFIG', message: expect.stringContaining(key) }),
    );
  });

  test('may hold unknown keys that are off, or that the caller vouches for', () => {
    const plain = read({});
    expect(read({ use_mrope: false, sliding_chunks: null, exotic_layers: [], _private: 1 })).toEqual(plain);
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
