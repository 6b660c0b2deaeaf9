import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSafetensors, type TensorWithData, writeSafetensors } from '@scorer/core/safetensors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDecoder } from '../decoder/decoder.js';
import { estimateMemory } from '../memory/estimate.js';
import { loadModel } from '../model/load-model.js';

/** Layers 1 and 3 have 6 experts, of which a token takes 3; layer 2 is dense. One tensor for each projection. */
const SEPARATE = fixture('qwen3-moe-dense-between');
/** Layers 2 and 4 have 5 experts, in two tensors each. */
const STACKED = fixture('qwen3-moe-stacked');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'experts-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

type Tensor = TensorWithData & { readonly data: Uint8Array };

const tokens = (length: number): Int32Array => Int32Array.from({ length }, (_, i) => (i * i + (i >> 4)) % 40);

describe('a model with experts', () => {
  test('has the same states in a layer whether it is asked for alone or with all others', async () => {
    const request = { inputIds: tokens(60), positions: Int32Array.of(0, 7, 31, 59) };
    const all = await statesOf(SEPARATE, [0, 1, 2, 3], request);
    for (const layer of [1, 2]) {
      // The wanted positions alone go through the last wanted layer's experts, in products of other sizes.
      const alone = floats((await statesOf(SEPARATE, [layer], request)).get(layer)!);
      const among = floats(all.get(layer)!);
      expect(largest(alone.map((value, i) => value - among[i]!))).toBeLessThan(1e-5 * largest(among));
    }
    expect((await statesOf(SEPARATE, [3], request)).get(3)).toEqual(all.get(3));
  });

  test('has the same bytes for a trace whatever was computed before it, also with a prompt that is kept', async () => {
    const model = await loadModel(SEPARATE);
    const options = { layers: [2, 3], storage: 'F32', compute: 'float32', device: 'cpu' } as const;
    const [a, b] = [await openDecoder(model, options), await openDecoder(model, options)];
    const trace = { inputIds: tokens(2100), positions: Int32Array.of(30, 1500, 2099), promptLength: 64 };
    const first = await a.hiddenStates(trace);
    await b.hiddenStates({ inputIds: tokens(77).reverse(), positions: Int32Array.of(70) });
    await b.hiddenStates({ inputIds: tokens(90), positions: Int32Array.of(80), promptLength: 64 });
    expect(await b.hiddenStates(trace)).toEqual(first);
    await Promise.all([a.close(), b.close()]);
  });

  test('gives the beginning of a trace the same states when more chunks follow', async () => {
    const positions = [0, 1000, 1024, 1250, 1899];
    const whole = await statesOf(SEPARATE, [1, 2, 3], {
      inputIds: tokens(4100),
      positions: Int32Array.of(...positions, 4099),
    });
    const short = await statesOf(SEPARATE, [1, 2, 3], {
      inputIds: tokens(1900),
      positions: Int32Array.from(positions),
    });
    for (const [layer, bytes] of short) {
      const [ours, theirs] = [floats(bytes), floats(whole.get(layer)!)];
      expect(largest(ours.map((value, i) => value - theirs[i]!))).toBeLessThan(1e-5 * largest(ours));
    }
  });

  test('has the same bytes from experts in two tensors and from each in its own', async () => {
    await rewrite(STACKED, (tensor) => separated(tensor));
    const request = { inputIds: tokens(90), positions: Int32Array.of(3, 50, 89) };
    const layers = [1, 2, 3, 4];
    expect(await statesOf(folder, layers, request)).toEqual(await statesOf(STACKED, layers, request));
    const [separate, stacked] = [await loadModel(folder), await loadModel(STACKED)];
    const settings = { layers, compute: 'float32', device: 'cpu' } as const;
    expect(estimateMemory(separate, settings)).toEqual(estimateMemory(stacked, settings));
  });

  test('takes the expert of the lower number where two are equal', async () => {
    // Experts 0 and 1 have the same router row, and each token takes one expert: 1 is never taken, so its weights do not count.
    const config = { num_experts_per_tok: 1 };
    const tie = ({ name, data, ...rest }: Tensor): Tensor[] => {
      if (!name.endsWith('mlp.gate.weight')) return [{ name, data, ...rest }];
      const rows = data.slice();
      rows.copyWithin(rows.length / 5, 0, rows.length / 5);
      return [{ name, data: rows, ...rest }];
    };
    const request = { inputIds: tokens(40), positions: Int32Array.of(5, 39) };
    await rewrite(STACKED, tie, config);
    const before = await statesOf(folder, [4], request);
    const withoutSecond = (tensor: Tensor): Tensor[] =>
      tie(tensor).map(({ data, ...rest }) => {
        if (!rest.name.endsWith('mlp.experts.down_proj')) return { ...rest, data };
        const zeroed = data.slice();
        zeroed.fill(0, data.length / 5, (2 * data.length) / 5);
        return { ...rest, data: zeroed };
      });
    await rewrite(STACKED, withoutSecond, config);
    expect(await statesOf(folder, [4], request)).toEqual(before);
  });

  test('computes in float16 what it computes in float32, as far as float16 goes', async () => {
    const request = { inputIds: tokens(20), positions: Int32Array.of(4, 19) };
    // Of heads whose rotation the half types' attention kernel leaves out: with it, norms are in it, on CUDA alone.
    const exact = floats((await statesOf(STACKED, [2], request)).get(2)!);
    const half = floats((await statesOf(STACKED, [2], request, 'float16')).get(2)!);
    expect(largest(half.map((value, i) => value - exact[i]!))).toBeLessThan(5e-3 * largest(exact));
  });

  test.each([
    [
      'with fewer experts than config.json says',
      { num_local_experts: 6 },
      /experts\.gate_up_proj is \[5,18,32\].*\[6,18,32\]/,
    ],
    ['of another width', { moe_intermediate_size: 8 }, /gate_up_proj is \[5,18,32\].*\[5,16,32\]/],
    [
      'where config.json has a dense layer',
      { decoder_sparse_step: 3 },
      /tensor model\.layers\.1\.mlp\.gate_proj\.weight is missing/,
    ],
    ['that are missing where config.json has them', { decoder_sparse_step: 1 }, /mlp\.gate\.weight is missing/],
  ])('%s is refused with the tensor named', async (_, lie, message) => {
    await rewrite(STACKED, (tensor) => [tensor], lie);
    await expect(statesOf(folder, [4], { inputIds: tokens(3), positions: Int32Array.of(2) })).rejects.toThrow(message);
  });

  test('of which one expert is missing is refused with the tensor named', async () => {
    await rewrite(SEPARATE, (tensor) => (tensor.name.includes('experts.4.up') ? [] : [tensor]));
    await expect(statesOf(folder, [3], { inputIds: tokens(3), positions: Int32Array.of(2) })).rejects.toMatchObject({
      code: 'TENSOR_MISSING',
      message: expect.stringContaining('mlp.experts.4.up_proj.weight'),
    });
  });
});

function fixture(name: string): string {
  return fileURLToPath(new URL(`../run/fixtures/architectures/${name}`, import.meta.url));
}

async function statesOf(
  modelFolder: string,
  layers: number[],
  request: { inputIds: Int32Array; positions: Int32Array },
  compute: 'float32' | 'float16' = 'float32',
): Promise<Map<number, Uint8Array>> {
  const model = await loadModel(modelFolder);
  const decoder = await openDecoder(model, { layers, storage: 'F32', compute, device: 'cpu' });
  return decoder.hiddenStates(request).finally(() => decoder.close());
}

/** Writes the model with other tensors, and other settings, into `folder`. */
async function rewrite(
  from: string,
  change: (tensor: Tensor) => Tensor[],
  settings: Record<string, unknown> = {},
): Promise<void> {
  const config = JSON.parse(readFileSync(join(from, 'config.json'), 'utf8'));
  cpSync(join(from, 'config.json'), join(folder, 'config.json'));
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, ...settings }));
  const file = await openSafetensors(join(from, 'model.safetensors'));
  const tensors: Tensor[] = [];
  for (const { name, dtype, shape } of file.tensors.values()) {
    tensors.push(...change({ name, dtype, shape, data: await file.read(name) }));
  }
  await file.close();
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, { format: 'pt' });
}

/** Of the experts in one tensor, `[E, 2I, D]` or `[E, D, I]`, each in its own. */
function separated({ name, dtype, shape, data }: Tensor): Tensor[] {
  const stack = /^(.*\.experts)\.(gate_up|down)_proj$/.exec(name);
  if (!stack) return [{ name, dtype, shape, data }];
  const [experts, rows, columns] = shape as [number, number, number];
  const projections = stack[2] === 'down' ? ['down'] : ['gate', 'up'];
  const size = data.length / experts / projections.length;
  return Array.from({ length: experts }, (_, e) =>
    projections.map((projection, i) => ({
      name: `${stack[1]}.${e}.${projection}_proj.weight`,
      dtype,
      shape: [rows / projections.length, columns],
      data: data.subarray((e * projections.length + i) * size, (e * projections.length + i + 1) * size),
    })),
  ).flat();
}

function floats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}

function largest(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
