import {
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSafetensors, writeSafetensors } from '@scorer/core/safetensors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDecoder } from '../decoder/decoder.js';
import { MAX_EXPERTS, MAX_LAYERS, MAX_VOCABULARY, MAX_WIDTH } from './config-keys.js';
import { loadModel } from './load-model.js';

const ARCHITECTURES = fileURLToPath(new URL('../run/fixtures/architectures', import.meta.url));
const MODEL = join(ARCHITECTURES, 'phi3-default');
const IDS = Int32Array.of(3, 1, 4, 1, 5, 9, 2, 6);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weights-'));
  cpSync(join(MODEL, 'config.json'), join(folder, 'config.json'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const config = () => JSON.parse(readFileSync(join(MODEL, 'config.json'), 'utf8'));

async function statesOf(modelFolder: string): Promise<Map<number, Uint8Array>> {
  const model = await loadModel(modelFolder);
  const decoder = await openDecoder(model, { layers: [1, 3], storage: 'F32', compute: 'float32', device: 'cpu' });
  const states = await decoder
    .hiddenStates({ inputIds: IDS, positions: Int32Array.of(2, 7) })
    .finally(() => decoder.close());
  return states;
}

/** Deals the model's tensors out to two files with an index, in `target`. */
async function writeSharded(target: string): Promise<string[]> {
  const whole = await openSafetensors(join(MODEL, 'model.safetensors'));
  const files = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  const dealt = files.map((): Parameters<typeof writeSafetensors>[1][number][] => []);
  const map: Record<string, string> = {};
  for (const [i, { name, dtype, shape }] of [...whole.tensors.values()].entries()) {
    dealt[i % 2]!.push({ name, dtype, shape, data: await whole.read(name) });
    map[name] = files[i % 2]!;
  }
  await whole.close();
  for (const [i, file] of files.entries()) await writeSafetensors(join(target, file), dealt[i]!, { format: 'pt' });
  writeFileSync(join(target, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map: map }));
  return [...files, 'model.safetensors.index.json'];
}

describe('the weights of a model', () => {
  test('may be spread over several files with an index', async () => {
    await writeSharded(folder);
    expect(await statesOf(folder)).toEqual(await statesOf(MODEL));
  });

  test('may be links into the blobs of a Hugging Face cache', async () => {
    const blobs = join(folder, 'blobs');
    const snapshot = join(folder, 'snapshots', 'c0ffee');
    mkdirSync(blobs);
    mkdirSync(snapshot, { recursive: true });
    const files = await writeSharded(blobs);
    cpSync(join(MODEL, 'config.json'), join(blobs, 'config.json'));
    for (const [i, name] of [...files, 'config.json'].entries()) {
      const blob = `${i}`.repeat(64);
      renameSync(join(blobs, name), join(blobs, blob));
      symlinkSync(join('..', '..', 'blobs', blob), join(snapshot, name));
    }
    expect(await statesOf(snapshot)).toEqual(await statesOf(MODEL));
  });

  test('may be those of a model that was saved without its head', async () => {
    const whole = await openSafetensors(join(MODEL, 'model.safetensors'));
    const base: Parameters<typeof writeSafetensors>[1][number][] = [];
    for (const { name, dtype, shape } of whole.tensors.values()) {
      if (name.startsWith('model.')) base.push({ name: name.slice(6), dtype, shape, data: await whole.read(name) });
    }
    await whole.close();
    await writeSafetensors(join(folder, 'model.safetensors'), base, { format: 'pt' });
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config(), architectures: ['Phi3Model'] }));
    expect(await statesOf(folder)).toEqual(await statesOf(MODEL));
  });

  test.each(['../outside.safetensors', '/etc/passwd', 'sub/model.safetensors'])(
    'are not looked for outside of the folder: %s',
    async (name) => {
      writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: { a: name } }));
      await expect(loadModel(folder)).rejects.toMatchObject({ code: 'SAFETENSORS_INDEX_INVALID' });
    },
  );

  test('that lie in different folders are refused with what to do', async () => {
    const files = await writeSharded(folder);
    mkdirSync(join(folder, 'elsewhere'));
    linkSync(join(folder, files[1]!), join(folder, 'elsewhere', 'x'));
    rmSync(join(folder, files[1]!));
    symlinkSync(join('elsewhere', 'x'), join(folder, files[1]!));
    await expect(loadModel(folder)).rejects.toMatchObject({ code: 'WEIGHTS_SCATTERED' });
  });

  test('that are cut off or missing give a named error', async () => {
    await expect(loadModel(folder)).rejects.toMatchObject({ code: 'SAFETENSORS_MODEL_NOT_FOUND' });
    const bytes = readFileSync(join(MODEL, 'model.safetensors'));
    writeFileSync(join(folder, 'model.safetensors'), bytes.subarray(0, bytes.length - 1));
    await expect(loadModel(folder)).rejects.toMatchObject({ code: expect.stringMatching(/SAFETENSORS/) });
  });

  test.each([
    ['hidden_size', { hidden_size: 48 }, 'TENSOR_SHAPE'],
    ['num_hidden_layers', { num_hidden_layers: 4 }, 'TENSOR_MISSING'],
    ['num_key_value_heads', { num_key_value_heads: 4 }, 'TENSOR_SHAPE'],
    ['vocab_size', { vocab_size: 41 }, 'TENSOR_SHAPE'],
    ['num_attention_heads', { head_dim: 8, num_attention_heads: MAX_WIDTH, num_key_value_heads: 4 }, 'TENSOR_SHAPE'],
    ['head_dim', { head_dim: MAX_WIDTH }, 'TENSOR_SHAPE'],
    ['intermediate_size', { intermediate_size: MAX_WIDTH }, 'TENSOR_SHAPE'],
  ])('that do not fit the %s of config.json are refused by name', async (_, lie, code) => {
    cpSync(join(MODEL, 'model.safetensors'), join(folder, 'model.safetensors'));
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config(), ...lie }));
    await expect(
      loadModel(folder).then((model) =>
        openDecoder(model, { layers: [model.spec.layerCount], storage: 'F32', compute: 'float32', device: 'cpu' }),
      ),
    ).rejects.toMatchObject({ code });
  });

  test.each([
    ['layers', 'phi3-default', { num_hidden_layers: MAX_LAYERS }, /layers\.3\.input_layernorm\.weight is missing/],
    ['tokens', 'phi3-default', { vocab_size: MAX_VOCABULARY }, /embed_tokens\.weight is \[40,32\].*\[16777216,32\]/],
    ['values', 'phi3-default', { hidden_size: MAX_WIDTH }, /embed_tokens\.weight is \[40,32\].*\[40,1048576\]/],
    [
      'experts',
      'qwen3-moe-dense-between',
      { num_experts: MAX_EXPERTS },
      /mlp\.gate\.weight is \[\d+,32\].*\[4096,32\]/,
    ],
  ])('must have as many %s as config.json says, which is looked at first', async (_, name, lie, message) => {
    const model = join(ARCHITECTURES, name);
    cpSync(join(model, 'model.safetensors'), join(folder, 'model.safetensors'));
    const its = JSON.parse(readFileSync(join(model, 'config.json'), 'utf8'));
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...its, ...lie }));
    await expect(loadModel(folder)).rejects.toThrow(message);
  });

  test('need not hold a token: an id past the vocabulary is an error of that trace alone', async () => {
    const model = await loadModel(MODEL);
    const decoder = await openDecoder(model, { layers: [3], storage: 'F32', compute: 'float32', device: 'cpu' });
    await expect(
      decoder.hiddenStates({ inputIds: Int32Array.of(1, 40), positions: Int32Array.of(1) }),
    ).rejects.toMatchObject({ kind: 'input' });
    expect((await decoder.hiddenStates({ inputIds: IDS, positions: Int32Array.of(0) })).get(3)!.length).toBe(32 * 4);
    await decoder.close();
  });
});
