import { toFloat32 } from '@scorer/core/safetensors';
import type { Storage } from '@scorer/core/schema';
import type { ComputeType } from '../graph/graph-weights.js';
import { stored } from '../import/store.js';

/** Half a unit of the last place, relative. */
const ROUNDING: Record<Storage, number> = { F32: 0, F16: 2 ** -11, BF16: 2 ** -8 };

/**
 * Rows of a model of L layers are off by so many roundings of its arithmetic, times √L: twice what PyTorch shows against
 * float32 on models of 5 layers (bfloat16 0.005, float16 0.0007) and of 28 (0.04 and 0.005).
 */
const ROUNDINGS_A_LAYER = 3;

/** What kernels of different makers differ by in float32, far more than its own rounding. */
const FLOAT32 = 1e-4;

/** How far rows of a model of so many layers are from exact ones, half of the time at most. */
export function allowedDistance(claimed: string, storage: Storage, layerCount: number): number {
  const of = (type: 'F16' | 'BF16'): number => ROUNDINGS_A_LAYER * ROUNDING[type] * Math.sqrt(layerCount);
  const arithmetic = { float32: FLOAT32, float16: of('F16'), bfloat16: of('BF16') } satisfies Record<
    ComputeType,
    number
  >;
  return (isComputeType(claimed) ? arithmetic[claimed] : arithmetic.bfloat16) + ROUNDING[storage];
}

/** What arithmetic rows look like that are so far off. */
export function arithmeticOf(distance: number, storage: Storage, layerCount: number): string {
  const found = COMPUTE_TYPES.find((type) => distance <= allowedDistance(type, storage, layerCount));
  return found ?? 'fewer bits than bfloat16';
}

const COMPUTE_TYPES: readonly ComputeType[] = ['float32', 'float16', 'bfloat16'];

/** Types with fewer bits than a storage type has. */
const SHORTER: Record<Storage, readonly Storage[]> = { F32: ['BF16', 'F16'], F16: ['BF16'], BF16: [] };

/** How a compute type's own values are stored. */
const STORAGE: Record<ComputeType, Storage> = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' };

/**
 * The type of fewer bits to which a row was rounded before it was stored, though it is said to be computed and stored in
 * more: all values of a row are not such by chance.
 */
export function roundedTo(row: Float32Array, storage: Storage, claimed: string): Storage | undefined {
  if (!isComputeType(claimed)) return undefined;
  const types = SHORTER[storage].filter((type) => SHORTER[STORAGE[claimed]].includes(type));
  return types.find((type) => toFloat32(type, stored(row, type)).every((value, d) => value === row[d]));
}

/** The values that the bits of a 16-bit type are as the other one. */
export function reinterpreted(bytes: Uint8Array, storage: Storage): Float32Array | undefined {
  if (storage === 'F32') return undefined;
  return toFloat32(storage === 'F16' ? 'BF16' : 'F16', bytes);
}

function isComputeType(name: string): name is ComputeType {
  return COMPUTE_TYPES.some((type) => type === name);
}
