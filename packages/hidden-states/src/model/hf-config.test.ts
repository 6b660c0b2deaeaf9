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
        message: expect.stringMatching(/MambaForCausalLM.*supported are Qwen3ForCausalLM/),
      }),
    );
  });

  test.each([
    ['rope_parameters', { rope_theta: 10000, rope_type: 'yarn', factor: 4 }],
    ['rope_scaling', { type: 'linear', factor: 2 }],
    ['hidden_act', 'gelu'],
    ['use_sliding_window', true],
    ['layer_types', ['full_attention', 'sliding_attention']],
    ['quantization_config', { quant_method: 'fp8' }],
  ])('with a %s that is not implemented is refused rather than computed wrongly', (key, value) => {
    expect(() => read({ [key]: value })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_CONFIG', message: expect.stringContaining(key) }),
    );
  });

  test('that lacks a size or is not JSON is invalid', () => {
    expect(() => read({ hidden_size: undefined })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(() => readHfConfig('{', 'config.json')).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});
