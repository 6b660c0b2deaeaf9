import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from './half.js';
import { openSafetensors } from './read.js';

const ALL_HALVES = Uint16Array.from({ length: 0x10000 }, (_, i) => i);

/** The definition of IEEE 754: (-1)^s 2^(e - 15) (1 + f / 1024), subnormals (-1)^s 2^-14 f / 1024. */
function f16Value(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * 2 ** -14 * (fraction / 1024) : sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}

function bf16Value(bits: number): number {
  return new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!;
}

function widen(convert: (source: Uint16Array, target: Float32Array) => void, source: Uint16Array): Float32Array {
  const target = new Float32Array(source.length);
  convert(source, target);
  return target;
}

function narrow(convert: (source: Float32Array, target: Uint16Array) => void, source: Float32Array): Uint16Array {
  const target = new Uint16Array(source.length);
  convert(source, target);
  return target;
}

describe.each([
  { name: 'F16', toF32: f16ToF32, fromF32: f32ToF16, value: f16Value, infinity: 0x7c00 },
  { name: 'BF16', toF32: bf16ToF32, fromF32: f32ToBf16, value: bf16Value, infinity: 0x7f80 },
])('$name', ({ name, toF32, fromF32, value, infinity }) => {
  test('all 65,536 values widen as the definition says', () => {
    expect(widen(toF32, ALL_HALVES)).toEqual(Float32Array.from(ALL_HALVES, value));
  });

  test('all 65,536 come back as they were, payloads of NaN included', () => {
    expect(narrow(fromF32, widen(toF32, ALL_HALVES))).toEqual(ALL_HALVES);
  });

  test('between any two neighbours the nearer is taken, in the middle the even one', () => {
    const below = ALL_HALVES.subarray(0, infinity - 1);
    const middles = Float32Array.from(below, (bits) => (value(bits) + value(bits + 1)) / 2);
    const bits = new Uint32Array(middles.buffer);
    expect(narrow(fromF32, middles)).toEqual(below.map((bits) => bits + (bits & 1)));
    const under = new Float32Array(bits.map((middle) => middle - 1).buffer);
    const over = new Float32Array(bits.map((middle) => middle + 1).buffer);
    expect(narrow(fromF32, under)).toEqual(below);
    expect(narrow(fromF32, over)).toEqual(below.map((bits) => bits + 1));
  });

  test('numbers beyond the greatest become infinite from half a step above it on', () => {
    const greatest = value(infinity - 1);
    const halfStep = (greatest - value(infinity - 2)) / 2;
    const edge = Float32Array.of(greatest + halfStep);
    const under = new Float32Array(Uint32Array.of(new Uint32Array(edge.buffer)[0]! - 1).buffer);
    expect([...narrow(fromF32, Float32Array.of(...edge, ...under, Number.POSITIVE_INFINITY))]).toEqual([
      infinity,
      infinity - 1,
      infinity,
    ]);
  });

  test('every NaN stays a NaN, with its sign', () => {
    const nans = Uint32Array.of(0x7f800001, 0xff800001, 0x7fc00000, 0x7fffffff, 0xffffffff);
    const narrowed = narrow(fromF32, new Float32Array(nans.buffer));
    expect([...narrowed].map((bits) => (bits & 0x7fff) > infinity)).toEqual(Array(5).fill(true));
    expect([...narrowed].map((bits) => bits >> 15)).toEqual([0, 1, 0, 0, 1]);
  });

  test('zeros keep their sign', () => {
    expect([...narrow(fromF32, Float32Array.of(0, -0))]).toEqual([0, 0x8000]);
  });

  test('3,320 floats around every edge round as in PyTorch', async () => {
    const fixture = fileURLToPath(new URL('fixtures/rounding.safetensors', import.meta.url));
    const file = await openSafetensors(fixture);
    const f32 = new Float32Array((await file.read('f32')).buffer);
    const expected = new Uint16Array((await file.read(name.toLowerCase())).buffer);
    await file.close();
    expect(f32.length).toBe(3320);
    expect(narrow(fromF32, f32)).toEqual(expected);
  });

  test('a target that is too short is refused', () => {
    expect(() => toF32(new Uint16Array(2), new Float32Array(1))).toThrow(RangeError);
    expect(() => fromF32(new Float32Array(2), new Uint16Array(1))).toThrow(RangeError);
  });
});

test('parts of larger buffers are converted in place', () => {
  const source = Uint16Array.of(0, 0x3c00, 0xc000, 0).subarray(1, 3);
  const buffer = new Float32Array(4);
  f16ToF32(source, buffer.subarray(1));
  expect([...buffer]).toEqual([0, 1, -2, 0]);
});

test('F16 narrows any float32 to the nearest of all halves', () => {
  const finite = [...ALL_HALVES].filter((half) => Number.isFinite(f16Value(half)));
  const sorted = finite.map(f16Value).sort((a, b) => a - b);
  fc.assert(
    fc.property(fc.float({ min: -65504, max: 65504, noNaN: true }), (x) => {
      const [half] = narrow(f32ToF16, Float32Array.of(x));
      const distance = Math.abs(f16Value(half!) - x);
      const above = sorted.findIndex((value) => value >= x);
      const nearest = Math.min(Math.abs(sorted[above]! - x), Math.abs((sorted[above - 1] ?? sorted[above]!) - x));
      expect(distance).toBe(nearest);
    }),
    { numRuns: 200 },
  );
});
