import { describe, expect, test } from 'vitest';
import { readHfConfig } from '../model/hf-config.js';
import type { DecoderModel } from '../model/load-model.js';
import { estimateMemory } from './estimate.js';
import { describeLayerGroups, planLayerGroups } from './layer-groups.js';

const GIB = 2 ** 30;
const LAYERS = 36;
const settings = { layers: [LAYERS], compute: 'float32', device: 'cpu' } as const;

describe('Qwen3-8B', () => {
  const model = qwen3_8b();
  const plan = (gibibytes: number, { count = 'auto' as 'auto' | number, longest = 2000 } = {}) =>
    planLayerGroups(model, settings, { count, longest, available: gibibytes * GIB });

  test('is one group where it fits', () => {
    expect(plan(64).groups).toEqual([{ first: 1, last: LAYERS }]);
    expect(plan(64).estimate).toEqual(estimateMemory(model, settings));
  });

  test('is two groups where 22 GiB are free, and three for traces of 27,000 tokens where 16 are', () => {
    expect(plan(22).groups).toEqual([
      { first: 1, last: 18 },
      { first: 19, last: 36 },
    ]);
    const long = plan(16, { longest: 27_000 });
    expect(long.groups.map(({ last }) => last)).toEqual([12, 24, 36]);
    expect(long.longest).toBeGreaterThan(27_000);
  });

  test('is cut into as few groups as fit, each of which and its batch fit', () => {
    for (const available of [3, 4, 6, 10, 15, 25]) {
      const { groups, estimate, longest, batch } = plan(available);
      expect(estimate.model + longest * estimate.perToken + batch.memory).toBeLessThanOrEqual(available * GIB);
      expect(longest).toBeGreaterThanOrEqual(2000);
      const fewer = plan(1000, { count: groups.length - 1 }).estimate;
      expect((available * GIB - fewer.model) / fewer.perToken).toBeLessThan(2000 + 1024);
      expect(groups.map(({ first }) => first)).toEqual([1, ...groups.slice(0, -1).map(({ last }) => last + 1)]);
      expect(groups.at(-1)!.last).toBe(LAYERS);
    }
  });

  test('is refused with the numbers where a single layer does not fit', () => {
    expect(() => plan(1)).toThrow(
      /the model, 1 of its layers at a time, needs about \d\.\d\d GiB, and there are 1\.00 GiB/,
    );
  });

  test('in a number of groups that was asked for has no more of them than layers', () => {
    expect(plan(64, { count: 5 }).groups.map(({ first, last }) => last - first + 1)).toEqual([8, 7, 7, 7, 7]);
    expect(plan(64, { count: 99 }).groups.length).toBe(LAYERS);
  });

  test('says what it will take', () => {
    expect(describeLayerGroups(plan(22), 22 * GIB)).toMatch(
      /^memory: layers 1–18 of 36 at a time, 2 groups, batches of up to 65536 tokens: about 1\d\.\d\d GiB for a group, 0\.\d\d GiB for 1,000 tokens and 1\.00 GiB for a batch; traces of up to \d+ tokens fit in the 22\.00 GiB that there are$/,
    );
  });
});

/** Its configuration, and the shapes of its tensors without their bytes. */
function qwen3_8b(): DecoderModel {
  const [D, I, V, query, keyValue] = [4096, 12_288, 151_936, 4096, 1024];
  const config = {
    architectures: ['Qwen3ForCausalLM'],
    model_type: 'qwen3',
    hidden_size: D,
    intermediate_size: I,
    num_hidden_layers: LAYERS,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    head_dim: 128,
    hidden_act: 'silu',
    vocab_size: V,
    max_position_embeddings: 40_960,
    rms_norm_eps: 1e-6,
    rope_theta: 1e6,
    tie_word_embeddings: false,
  };
  const { spec, architecture } = readHfConfig(JSON.stringify(config), 'config.json');
  const shapes: [name: string, shape: number[]][] = [[architecture.tensors.embeddings, [V, D]]];
  for (let layer = 0; layer < LAYERS; layer++) {
    const names = architecture.tensors.layer(layer);
    shapes.push([`${names.query}.weight`, [query, D]], [`${names.attentionOutput}.weight`, [D, query]]);
    for (const name of [names.key, names.value]) shapes.push([`${name}.weight`, [keyValue, D]]);
    for (const name of [names.gate, names.up]) shapes.push([`${name}.weight`, [I, D]]);
    shapes.push([`${names.down}.weight`, [D, I]]);
  }
  const tensors = new Map(
    shapes.map(([name, shape]) => {
      const length = 2 * shape.reduce((product, size) => product * size, 1);
      return [name, { dtype: 'BF16' as const, shape, file: 'model.safetensors', offset: 0, length }];
    }),
  );
  const weights = { folder: '', files: [], tensors };
  return { kind: 'huggingface', folder: '', name: 'Qwen3-8B', spec, architecture, weights };
}
