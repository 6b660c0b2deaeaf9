import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { toFloat32 } from './convert.js';
import type { Dtype } from './dtype.js';
import { openSafetensors } from './read.js';

const NUMBERS = fileURLToPath(new URL('fixtures/numbers.safetensors', import.meta.url));

test.each([
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
  'float16',
  'float32',
  'float64',
])('%s becomes what numpy makes of it', async (name) => {
  const file = await openSafetensors(NUMBERS);
  const expected = new Float32Array((await file.read(`${name}.f32`)).buffer);
  expect(toFloat32(file.tensor(name).dtype, await file.read(name))).toEqual(expected);
  await file.close();
});

test('BF16 is the upper half of a float32', () => {
  expect([...toFloat32('BF16', Uint8Array.of(0x80, 0x3f, 0x40, 0xc0))]).toEqual([1, -3]);
});

test('elements at any offset of a larger buffer are converted, into the array that is given', () => {
  const bytes = new Uint8Array(Buffer.concat([Buffer.alloc(3), Buffer.from(BigInt64Array.of(-5n, 7n).buffer)]));
  const target = new Float32Array(4).fill(9);
  const filled = toFloat32('I64', bytes.subarray(3), target);
  expect([...filled]).toEqual([-5, 7]);
  expect(filled.buffer).toBe(target.buffer);
  expect([...target]).toEqual([-5, 7, 9, 9]);
});

test.each<[string, Dtype, number, number | undefined]>([
  ['DTYPE_NOT_CONVERTED', 'C64', 8, undefined],
  ['DTYPE_NOT_CONVERTED', 'F8_E4M3', 8, undefined],
  ['SAFETENSORS_PARTIAL_ELEMENT', 'F32', 6, undefined],
  ['BUFFER_TOO_SMALL', 'F16', 8, 3],
])('%s: %s of %i bytes', (code, dtype, bytes, room) => {
  const target = room === undefined ? undefined : new Float32Array(room);
  expect(() => toFloat32(dtype, new Uint8Array(bytes), target)).toThrow(expect.objectContaining({ code }));
});
