/**
 * Exact conversions between float32 and the two 16-bit formats, IEEE 754 binary16 (F16) and bfloat16 (BF16), on their
 * bits. Narrowing rounds to nearest, ties to even. A NaN stays a NaN with the upper bits of its payload, so widening
 * and narrowing again gives back each of the 65,536 halves.
 */

const F32_INFINITY = 0x7f800000;
const F16_INFINITY = 0x7c00;
interface HalfArray {
  set(source: Float32Array): void;
}

/** Node 24 and later have Float16Array, which narrows three times as fast as bit operations. */
const { Float16Array: NativeHalves } = globalThis as {
  Float16Array?: new (buffer: ArrayBufferLike, byteOffset: number, length: number) => HalfArray;
};

/** 65,536: with rounding done on the bits, everything from 65,520 on carries up to it. */
const F32_BEYOND_F16 = 0x47800000;
/** 2^-14, the smallest normal half. */
const F32_SMALLEST_NORMAL_F16 = 113 << 23;

/**
 * Bits of the float32 for each half: a look-up is twice as fast as bit operations, and still half as fast again as the
 * Float16Array of Node 24 and 26. Made in half a millisecond.
 */
const F32_BITS_OF_F16 = f16Table();

/**
 * Widens binary16 bits to float32; exact.
 * @param target as long as `source` or longer
 */
export function f16ToF32(source: Uint16Array, target: Float32Array): void {
  const table = F32_BITS_OF_F16;
  // As integers, because a NaN that passes through a float may lose its payload; as signed ones, because V8 keeps
  // these in registers as they are. Four at a time are faster than one by one.
  const bits = bitsOf(target, source.length);
  const length = source.length;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    bits[i] = table[source[i]!]!;
    bits[i + 1] = table[source[i + 1]!]!;
    bits[i + 2] = table[source[i + 2]!]!;
    bits[i + 3] = table[source[i + 3]!]!;
  }
  for (; i < length; i++) bits[i] = table[source[i]!]!;
}

/**
 * Rounds float32 to binary16 bits: from 65,520 on to infinity, below 2^-14 to subnormals.
 * @param target as long as `source` or longer, in other memory
 */
export function f32ToF16(source: Float32Array, target: Uint16Array): void {
  checkLength(source.length, target.length);
  const bits = new Int32Array(source.buffer, source.byteOffset, source.length);
  if (!NativeHalves) {
    for (let i = 0; i < bits.length; i++) target[i] = f16OfF32Bits(bits[i]!);
    return;
  }
  new NativeHalves(target.buffer, target.byteOffset, source.length).set(source);
  // It makes every NaN the same one.
  for (let i = 0; i < bits.length; i++) {
    if ((target[i]! & 0x7fff) > F16_INFINITY) target[i] = f16OfF32Bits(bits[i]!);
  }
}

/**
 * Widens bfloat16 bits to float32; exact.
 * @param target as long as `source` or longer
 */
export function bf16ToF32(source: Uint16Array, target: Float32Array): void {
  const bits = bitsOf(target, source.length);
  for (let i = 0; i < source.length; i++) bits[i] = source[i]! << 16;
}

/**
 * Rounds float32 to bfloat16 bits.
 * @param target as long as `source` or longer
 */
export function f32ToBf16(source: Float32Array, target: Uint16Array): void {
  checkLength(source.length, target.length);
  const bits = new Int32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < bits.length; i++) target[i] = bf16OfF32Bits(bits[i]!);
}

function f16OfF32Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= F32_BEYOND_F16) {
    if (magnitude <= F32_INFINITY) return sign | F16_INFINITY;
    // A payload that lies in the lower bits alone would vanish and leave an infinity: such a NaN gets the quiet bit.
    return sign | F16_INFINITY | ((magnitude >>> 13) & 0x3ff || 0x200);
  }
  if (magnitude >= F32_SMALLEST_NORMAL_F16) {
    // Moves the exponent's bias from 127 to 15. Adding half a unit less one, plus the last kept bit, rounds ties to
    // even; a carry runs into the exponent, which is right, up to infinity.
    const odd = (magnitude >>> 13) & 1;
    return sign | ((magnitude - (112 << 23) + 0xfff + odd) >>> 13);
  }
  // Units of a subnormal half are 2^-24; less than half a unit is zero.
  const shift = 126 - (magnitude >>> 23);
  if (shift > 24) return sign;
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const units = significand >>> shift;
  const rest = significand & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const roundsUp = rest > half || (rest === half && (units & 1) === 1);
  return sign | (roundsUp ? units + 1 : units);
}

function bf16OfF32Bits(bits: number): number {
  const upper = bits >>> 16;
  if ((bits & 0x7fffffff) > F32_INFINITY) return (upper & 0x7f) === 0 ? upper | 0x40 : upper;
  const odd = upper & 1;
  return (bits + 0x7fff + odd) >>> 16;
}

function bitsOf(target: Float32Array, length: number): Int32Array {
  checkLength(length, target.length);
  return new Int32Array(target.buffer, target.byteOffset, length);
}

function checkLength(source: number, target: number): void {
  if (target < source) throw new RangeError(`target holds ${target} numbers, ${source} are needed`);
}

function f16Table(): Int32Array {
  const table = new Int32Array(0x10000);
  const values = new Float32Array(table.buffer);
  for (let half = 0; half < 0x10000; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0x1f) table[half] = sign | F32_INFINITY | (fraction << 13);
    else if (exponent !== 0) table[half] = sign | ((exponent + 112) << 23) | (fraction << 13);
    else values[half] = (sign ? -1 : 1) * fraction * 2 ** -24;
  }
  return table;
}
