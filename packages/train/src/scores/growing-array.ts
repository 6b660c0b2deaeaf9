type NumberArray = Int32Array | Float64Array;

/** A typed array that grows: numbers of unknown count in the memory that they need. */
export interface GrowingArray<Array extends NumberArray> {
  readonly length: number;
  append(values: ArrayLike<number>): void;
  /** Appends a value until so many stand there. */
  fillTo(length: number, value: number): void;
  /** What was appended, as a view: valid until the next `append`. */
  view(): Array;
}

const FIRST_LENGTH = 1024;

export function growingArray<Array extends NumberArray>(make: new (length: number) => Array): GrowingArray<Array> {
  let memory = new make(FIRST_LENGTH);
  let length = 0;
  const grow = (needed: number): void => {
    if (needed <= memory.length) return;
    const larger = new make(Math.max(2 * memory.length, needed));
    larger.set(memory.subarray(0, length));
    memory = larger;
  };
  return {
    get length() {
      return length;
    },
    append(values) {
      grow(length + values.length);
      memory.set(values, length);
      length += values.length;
    },
    fillTo(wanted, value) {
      grow(wanted);
      memory.fill(value, length, wanted);
      length = wanted;
    },
    view: () => memory.subarray(0, length) as Array,
  };
}
