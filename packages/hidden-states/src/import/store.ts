import { f32ToBf16, f32ToF16, toFloat32 } from '@scorer/core/safetensors';
import type { Storage } from '@scorer/core/schema';

/** Values in the bytes of a storage type, rounded to nearest. */
export function stored(values: Float32Array, storage: Storage): Uint8Array {
  if (storage === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const halves = new Uint16Array(values.length);
  if (storage === 'F16') f32ToF16(values, halves);
  else f32ToBf16(values, halves);
  return new Uint8Array(halves.buffer);
}

/** Bytes of one type as those of another; the same where the types are. */
export function restored(bytes: Uint8Array, from: Storage, to: Storage): Uint8Array {
  return from === to ? bytes : stored(toFloat32(from, bytes), to);
}
