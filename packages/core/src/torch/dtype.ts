import type { Dtype } from '../safetensors/index.js';

/** PyTorch's storage classes, module `torch`, and what their elements are. */
const STORAGE_DTYPES = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
} as const satisfies Record<string, Dtype>;

/** Element types of tensors in torch's files, by their names in safetensors. */
export type TorchDtype = (typeof STORAGE_DTYPES)[keyof typeof STORAGE_DTYPES];

/** @returns undefined for a name that is no storage class */
export function dtypeOfStorage(className: string): TorchDtype | undefined {
  return Object.hasOwn(STORAGE_DTYPES, className)
    ? STORAGE_DTYPES[className as keyof typeof STORAGE_DTYPES]
    : undefined;
}

export function storageOfDtype(dtype: TorchDtype): string {
  return Object.entries(STORAGE_DTYPES).find(([, known]) => known === dtype)![0];
}
