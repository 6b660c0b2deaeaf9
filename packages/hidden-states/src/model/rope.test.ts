import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readHfConfig } from './hf-config.js';

interface RotaryOfTransformers {
  rope_parameters: { rope_type: string };
  scaling: number;
  inverse_frequencies: number[];
  long?: number[];
}

/** By tools/oracles/rotary.py. */
const CASES: RotaryOfTransformers[] = JSON.parse(
  readFileSync(new URL('./fixtures/rotary.json', import.meta.url), 'utf8'),
);

const SIZES = {
  architectures: ['LlamaForCausalLM'],
  hidden_size: 64,
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  head_dim: 16,
  vocab_size: 8,
  max_position_embeddings: 4096,
};

test.each(CASES.map((expected) => [expected.rope_parameters.rope_type, expected] as const))(
  'the frequencies of %s scaling equal those of transformers to the last bit',
  (_, { rope_parameters, scaling, inverse_frequencies, long }) => {
    const { rotary } = readHfConfig(JSON.stringify({ ...SIZES, rope_parameters }), 'config.json').spec;
    expect([...rotary.inverseFrequencies]).toEqual(inverse_frequencies);
    expect(rotary.long && [...rotary.long.inverseFrequencies]).toEqual(long);
    expect(rotary.scaling).toBeCloseTo(scaling, 14);
  },
);
