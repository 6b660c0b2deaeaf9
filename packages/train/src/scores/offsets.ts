/** [n] lengths of runs → [n + 1] offsets: run i stands at offsets[i] ≤ j < offsets[i + 1]. */
export function offsetsOf(lengths: ArrayLike<number>): Uint32Array {
  const offsets = new Uint32Array(lengths.length + 1);
  for (let i = 0; i < lengths.length; i++) offsets[i + 1] = offsets[i]! + lengths[i]!;
  return offsets;
}
