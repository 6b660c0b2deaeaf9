import { ScorerError } from '../errors/index.js';
import { type Dtype, dtypeBytes } from './dtype.js';
import { bf16ToF32, f16ToF32 } from './half.js';

/**
 * A tensor's elements as float32, rounded to nearest, ties to even; exact for F16, BF16, F32, BOOL and integers up to
 * 16 bits. Integers beyond 2^53 go by way of float64.
 * @param bytes little endian, as they stand in the file
 * @param target filled from its start; without it a new array is made
 * @returns the part of `target` that was filled, [elements]
 * @throws ScorerError `DTYPE_NOT_CONVERTED` for complex numbers and floats of 8 bits and less, `BUFFER_TOO_SMALL`,
 * `SAFETENSORS_PARTIAL_ELEMENT` (usage)
 */
export function toFloat32(dtype: Dtype, bytes: Uint8Array, target?: Float32Array): Float32Array {
  const count = bytes.length / dtypeBytes(dtype);
  if (!Number.isInteger(count)) throw usageError('SAFETENSORS_PARTIAL_ELEMENT', `${bytes.length} bytes of ${dtype}`);
  const floats = target ?? new Float32Array(count);
  if (floats.length < count) throw usageError('BUFFER_TOO_SMALL', `room for ${floats.length} of ${count} numbers`);
  const filled = floats.subarray(0, count);

  switch (dtype) {
    case 'F16':
      f16ToF32(view(Uint16Array, bytes), filled);
      break;
    case 'BF16':
      bf16ToF32(view(Uint16Array, bytes), filled);
      break;
    case 'I64':
      setFromBigInts(filled, view(BigInt64Array, bytes));
      break;
    case 'U64':
      setFromBigInts(filled, view(BigUint64Array, bytes));
      break;
    default: {
      const Elements = ELEMENTS[dtype];
      if (!Elements) throw usageError('DTYPE_NOT_CONVERTED', `${dtype} is not converted to float32`);
      filled.set(view(Elements, bytes));
    }
  }
  return filled;
}

type Elements =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

interface ElementType<Values> {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): Values;
  readonly BYTES_PER_ELEMENT: number;
}

/** Those that JavaScript converts by itself. */
const ELEMENTS: Partial<Record<Dtype, ElementType<Elements>>> = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  U16: Uint16Array,
  I16: Int16Array,
  U32: Uint32Array,
  I32: Int32Array,
  F32: Float32Array,
  F64: Float64Array,
};

function view<Values>(Type: ElementType<Values>, bytes: Uint8Array): Values {
  // Elements of a view must stand at a multiple of their size, which those of a larger buffer need not.
  const { buffer, byteOffset, length } = bytes.byteOffset % Type.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return new Type(buffer, byteOffset, length / Type.BYTES_PER_ELEMENT);
}

function setFromBigInts(target: Float32Array, source: BigInt64Array | BigUint64Array): void {
  for (let i = 0; i < source.length; i++) target[i] = Number(source[i]!);
}

function usageError(code: string, what: string): ScorerError {
  return new ScorerError({ code, kind: 'usage', what });
}
