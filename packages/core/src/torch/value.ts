import type { TorchDtype } from './dtype.js';

/**
 * What a file of torch holds. Lists and tuples are arrays, dicts are maps; numpy's scalars are numbers; integers beyond
 * 2^53 are bigints.
 */
export type TorchValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | TorchText
  | TorchTensor
  | TorchValue[]
  | Map<TorchValue, TorchValue>;

/** A long text, which stays in the file until it is asked for. */
export class TorchText {
  constructor(
    /** Of its first byte in data.pkl. */
    readonly position: number,
    readonly byteLength: number,
  ) {}
}

/** A tensor, whose elements stay in the file until they are asked for. */
export class TorchTensor {
  constructor(
    readonly dtype: TorchDtype,
    readonly shape: readonly number[],
    /** Elements from one index to the next along each dimension. */
    readonly strides: readonly number[],
    /** Name of the storage among those of the file; tensors may share one. */
    readonly storage: string,
    /** In elements, from the storage's first. */
    readonly offset: number,
  ) {}

  /** Elements of the tensor. */
  get size(): number {
    return this.shape.reduce((product, length) => product * length, 1);
  }

  /** The part at `i` along the first dimension, as `tensor[i]` in PyTorch. */
  at(i: number): TorchTensor {
    const [length = 0, ...shape] = this.shape;
    const [stride = 0, ...strides] = this.strides;
    if (!(Number.isInteger(i) && i >= 0 && i < length)) throw new RangeError(`index ${i} of ${length}`);
    return new TorchTensor(this.dtype, shape, strides, this.storage, this.offset + i * stride);
  }
}
