import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Dtype, dtypeBytes, isDtype } from './dtype.js';
import { openSafetensors } from './read.js';
import { planSafetensors, type TensorWithData, writeSafetensors } from './write.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'safetensors-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe.each(['every-dtype', 'packed'])('%s, as Python safetensors writes it', (name) => {
  const path = fileURLToPath(new URL(`fixtures/${name}.safetensors`, import.meta.url));
  async function fixture(): Promise<{ metadata: Record<string, string>; tensors: TensorWithData[] }> {
    const { metadata, tensors } = JSON.parse(await readFile(path.replace('.safetensors', '.json'), 'utf8'));
    const decode = ({ hex, ...spec }: { hex: string }) => ({ ...spec, data: Buffer.from(hex, 'hex') });
    return { metadata, tensors: tensors.map(decode) };
  }

  test('is read as it was written there', async () => {
    const { metadata, tensors } = await fixture();
    const file = await openSafetensors(path);
    expect({ ...file.metadata }).toEqual(metadata);
    expect([...file.tensors.keys()]).toEqual(tensors.map(({ name }) => name));
    for (const { name, dtype, shape, data } of tensors) {
      expect(file.tensor(name)).toMatchObject({ dtype, shape });
      expect(Buffer.from(await file.read(name))).toEqual(data);
    }
    await file.close();
  });

  test('is written by us in the same bytes, from tensors in any order', async () => {
    const { metadata, tensors } = await fixture();
    await writeSafetensors(join(folder, name), tensors.toReversed(), metadata);
    expect(await readFile(join(folder, name))).toEqual(await readFile(path));
  });
});

const DTYPES = ['F4', 'F6_E3M2', 'BOOL', 'U8', 'F8_E4M3', 'I16', 'F16', 'BF16', 'U32', 'F32', 'C64', 'I64'].filter(
  isDtype,
);

test('what is written comes back, aligned, and the order of the call makes no difference', async () => {
  const path = join(folder, 'round-trip.safetensors');
  const shape = fc.array(fc.nat(5), { maxLength: 3 });
  const spec = fc.record({ dtype: fc.constantFrom(...DTYPES), shape, seed: fc.nat(255) }).filter(wholeBytes);
  const named = fc.dictionary(fc.string({ unit: 'grapheme' }), spec, { maxKeys: 6, noNullPrototype: true });
  const metadata = fc.dictionary(fc.string(), fc.string({ unit: 'grapheme' }), { maxKeys: 3 });
  await fc.assert(
    fc.asyncProperty(named, metadata, async (specs, metadata) => {
      const tensors = Object.entries(specs).map(([name, { dtype, shape, seed }]) => ({
        name,
        dtype,
        shape,
        data: new Uint8Array(elements(shape) * dtypeBytes(dtype)).map((_, i) => seed + i),
      }));
      await writeSafetensors(path, tensors, metadata);
      const bytes = await readFile(path);
      const file = await openSafetensors(path);
      expect(file.dataStart % 8).toBe(0);
      expect(Object.entries(file.metadata).sort()).toEqual(Object.entries(metadata).sort());
      expect(file.tensors.size).toBe(tensors.length);
      for (const { name, dtype, shape, data } of tensors) {
        expect(file.tensor(name)).toMatchObject({ dtype, shape });
        expect(file.tensor(name).start % Math.max(1, dtypeBytes(dtype))).toBe(0);
        expect(await file.read(name)).toEqual(data);
      }
      await file.close();
      await writeSafetensors(path, tensors.toReversed(), metadata);
      expect(await readFile(path)).toEqual(bytes);
    }),
    { numRuns: 60 },
  );
});

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function wholeBytes({ dtype, shape }: { dtype: Dtype; shape: number[] }): boolean {
  return Number.isInteger(elements(shape) * dtypeBytes(dtype));
}

test('planned offsets are those of the file, beyond 4 GiB too', () => {
  const rows = 2 ** 24;
  const { header, tensors, fileSize } = planSafetensors([
    { name: 'flags', dtype: 'U8', shape: [3] },
    { name: 'states', dtype: 'F16', shape: [rows, 2560] },
  ]);
  expect(tensors.map(({ name, start, end }) => [name, start - header.length, end - header.length])).toEqual([
    ['states', 0, rows * 2560 * 2],
    ['flags', rows * 2560 * 2, rows * 2560 * 2 + 3],
  ]);
  expect(fileSize).toBe(header.length + rows * 2560 * 2 + 3);
});

describe('a file is refused, and none appears', () => {
  const u8 = (name: string, length = 1): TensorWithData => ({
    name,
    dtype: 'U8',
    shape: [1],
    data: new Uint8Array(length),
  });
  test.each([
    ['with a name twice', [u8('a'), u8('a')], {}, 'SAFETENSORS_BAD_NAME'],
    ['with a tensor called __metadata__', [u8('__metadata__')], {}, 'SAFETENSORS_BAD_NAME'],
    ['with half a character in a name', [u8('\ud800')], {}, 'SAFETENSORS_BAD_NAME'],
    ['with half a character in the metadata', [], { a: '\udc00' }, 'SAFETENSORS_BAD_NAME'],
    ['with data that do not fit the shape', [u8('a', 2)], {}, 'SAFETENSORS_SIZE_MISMATCH'],
    ['with metadata beyond the cap', [], { a: 'x'.repeat(1e8) }, 'SAFETENSORS_HEADER_TOO_LARGE'],
  ])('%s', async (_, tensors, metadata, code) => {
    const before = await readdir(folder);
    await expect(writeSafetensors(join(folder, 'refused'), tensors, metadata)).rejects.toMatchObject({ code });
    expect(await readdir(folder)).toEqual(before);
  });
});

describe('rows', () => {
  let path: string;
  beforeAll(async () => {
    path = join(folder, 'rows.safetensors');
    await writeSafetensors(path, [
      { name: 'x', dtype: 'I16', shape: [4, 1, 3], data: Int16Array.from({ length: 12 }, (_, i) => i) },
      { name: 'packed', dtype: 'F4', shape: [2, 3], data: new Uint8Array(3) },
      { name: 'none', dtype: 'I16', shape: [0, 3], data: new Int16Array(0) },
    ]);
  });

  test('are read alone, into a buffer of their own or into the one given', async () => {
    const file = await openSafetensors(path);
    expect([...new Int16Array((await file.readRows('x', 1, 3)).buffer)]).toEqual([3, 4, 5, 6, 7, 8]);
    const into = new Uint8Array(20).fill(9);
    const filled = await file.readRows('x', 3, 4, into);
    expect(filled.buffer).toBe(into.buffer);
    expect([...into]).toEqual([9, 0, 10, 0, 11, 0, ...Array(14).fill(9)]);
    expect((await file.readRows('none', 0, 0)).length).toBe(0);
    await file.close();
  });

  test('outside the tensor, of part bytes, or for too small a buffer are refused', async () => {
    const file = await openSafetensors(path);
    const outside = { code: 'ROWS_OUT_OF_RANGE', kind: 'usage' };
    for (const [first, end] of [
      [0, 5],
      [-1, 1],
      [2, 1],
      [0.5, 1],
      [Number.NaN, 1],
    ] as const) {
      await expect(file.readRows('x', first, end)).rejects.toMatchObject(outside);
    }
    await expect(file.readRows('packed', 0, 1)).rejects.toMatchObject({ code: 'ROWS_NOT_BYTES' });
    await expect(file.readRows('x', 0, 2, new Uint8Array(11))).rejects.toMatchObject({ code: 'BUFFER_TOO_SMALL' });
    await expect(async () => file.read('y')).rejects.toMatchObject({ code: 'TENSOR_NOT_FOUND' });
    await file.close();
  });

  test('of a file that was cut after it was opened are refused', async () => {
    const copy = join(folder, 'cut.safetensors');
    await writeFile(copy, await readFile(path));
    const file = await openSafetensors(copy);
    await writeFile(copy, (await readFile(path)).subarray(0, file.tensor('x').end - 1));
    await expect(file.read('x')).rejects.toMatchObject({ code: 'FILE_TRUNCATED' });
    await file.close();
  });
});

test('a missing file, a folder and an empty file have their own errors', async () => {
  await writeFile(join(folder, 'empty'), '');
  await expect(openSafetensors(join(folder, 'missing'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  await expect(openSafetensors(folder)).rejects.toMatchObject({ code: 'IS_A_FOLDER' });
  await expect(openSafetensors(join(folder, 'empty'))).rejects.toMatchObject({ code: 'SAFETENSORS_TOO_SHORT' });
});
