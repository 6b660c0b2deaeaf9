import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { toFloat32 } from './convert.js';
import { openSafetensorsModel } from './model.js';
import { writeSafetensors } from './write.js';

/** As huggingface_hub wrote it: two files and their index. */
const SHARDED = fileURLToPath(new URL('fixtures/sharded', import.meta.url));
const INDEX = 'model.safetensors.index.json';
const FIRST = 'model-00001-of-00002.safetensors';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'model-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('a model in several files', () => {
  test('is one set of tensors, with the values that were put in', async () => {
    const expected = JSON.parse(await readFile(join(SHARDED, 'expected.json'), 'utf8'));
    const model = await openSafetensorsModel(SHARDED);
    expect(model.files.map(({ path }) => basename(path))).toEqual(
      [1, 2].map((i) => `model-0000${i}-of-00002.safetensors`),
    );
    expect([...model.tensors.keys()].sort()).toEqual(Object.keys(expected).sort());
    for (const [name, { shape, values }] of Object.entries<{ shape: number[]; values: number[] }>(expected)) {
      expect(model.tensor(name).shape).toEqual(shape);
      expect([...toFloat32(model.tensor(name).dtype, await model.read(name))]).toEqual(values.map(Math.fround));
    }
    const rows = await model.readRows('model.embed.weight', 1, 3);
    expect([...toFloat32('F32', rows)]).toEqual(expected['model.embed.weight'].values.slice(3, 9).map(Math.fround));
    const { file, start } = model.tensor('model.norm.weight');
    expect((await readFile(file.path)).readUInt16LE(start)).toBe(0x3c00);
    await expect(model.read('lm_head.weight')).rejects.toMatchObject({ code: 'TENSOR_NOT_FOUND', where: SHARDED });
    await model.close();
  });

  test('leaves out what the index does not name', async () => {
    await cp(SHARDED, folder, { recursive: true });
    const index = JSON.parse(await readFile(join(folder, INDEX), 'utf8'));
    delete index.weight_map['model.norm.weight'];
    await writeFile(join(folder, INDEX), JSON.stringify(index));
    const model = await openSafetensorsModel(folder);
    expect(model.tensors.size).toBe(3);
    await model.close();
  });

  test('with a tensor that is not where the index puts it is refused', async () => {
    await cp(SHARDED, folder, { recursive: true });
    const index = JSON.parse(await readFile(join(folder, INDEX), 'utf8'));
    index.weight_map['lm_head.weight'] = FIRST;
    await writeFile(join(folder, INDEX), JSON.stringify(index));
    await expect(openSafetensorsModel(folder)).rejects.toMatchObject({
      code: 'SAFETENSORS_INDEX_MISMATCH',
      where: join(folder, FIRST),
    });
  });

  test('with a file missing or cut is refused with its name', async () => {
    await cp(SHARDED, folder, { recursive: true });
    const first = await readFile(join(folder, FIRST));
    await writeFile(join(folder, FIRST), first.subarray(0, -1));
    await expect(openSafetensorsModel(folder)).rejects.toMatchObject({
      code: 'SAFETENSORS_TRUNCATED',
      where: join(folder, FIRST),
    });
    await rm(join(folder, FIRST));
    await expect(openSafetensorsModel(folder)).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      where: join(folder, FIRST),
    });
  });
});

test('a model in one file is read without an index, also where one stands beside it', async () => {
  await cp(SHARDED, folder, { recursive: true });
  const data = Float32Array.of(1, 2);
  await writeSafetensors(join(folder, 'model.safetensors'), [{ name: 'a', dtype: 'F32', shape: [2], data }]);
  const model = await openSafetensorsModel(folder);
  expect([...model.tensors.keys()]).toEqual(['a']);
  expect([...toFloat32('F32', await model.read('a'))]).toEqual([1, 2]);
  await model.close();
});

test('a folder without weights has its own error', async () => {
  await expect(openSafetensorsModel(folder)).rejects.toMatchObject({ code: 'SAFETENSORS_MODEL_NOT_FOUND' });
  await expect(openSafetensorsModel(join(folder, 'missing'))).rejects.toMatchObject({
    code: 'SAFETENSORS_MODEL_NOT_FOUND',
  });
});

test.each([
  ['that is no JSON', '{"weight_map"'],
  ['that is an array', '[]'],
  ['without a weight_map', '{"metadata": {}}'],
  ['with an empty one', '{"weight_map": {}}'],
  ['with a list for a map', `{"weight_map": ["${FIRST}"]}`],
  ['with a number for a file', '{"weight_map": {"a": 1}}'],
  ['with a file above the folder', '{"weight_map": {"a": "../x.safetensors"}}'],
  ['with a file below it', '{"weight_map": {"a": "x/y.safetensors"}}'],
  ['with an absolute path', '{"weight_map": {"a": "/etc/x.safetensors"}}'],
  ['with a path of Windows', '{"weight_map": {"a": "..\\\\x.safetensors"}}'],
  ['with a file of another kind', '{"weight_map": {"a": "pytorch_model.bin"}}'],
  ['with a zero byte in a name', '{"weight_map": {"a": "x\\u0000.safetensors"}}'],
])('an index %s is refused', async (_, index) => {
  await writeFile(join(folder, INDEX), index);
  await expect(openSafetensorsModel(folder)).rejects.toMatchObject({
    code: 'SAFETENSORS_INDEX_INVALID',
    where: join(folder, INDEX),
  });
});

test('a tensor called __proto__ in an index is a tensor like any other', async () => {
  await writeFile(join(folder, INDEX), `{"weight_map": {"__proto__": "a.safetensors"}}`);
  const data = new Uint8Array(1);
  await writeSafetensors(join(folder, 'a.safetensors'), [{ name: '__proto__', dtype: 'U8', shape: [1], data }]);
  const model = await openSafetensorsModel(folder);
  expect([...model.tensors.keys()]).toEqual(['__proto__']);
  await model.close();
});
