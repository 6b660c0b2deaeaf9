/**
 * How far a stored row is from the one that was computed, relative to the latter: the larger of two ratios, of the
 * Euclidean norms and of the upper quartiles of the absolute values. A few dimensions of a residual stream can be a
 * thousand times the others and hardly change from layer to layer: the norms see little but those, the quartiles all but
 * those. 0 for equal rows, about 1 or more for unrelated ones; Infinity where a value is not finite.
 */
export function distance(row: Float32Array, expected: Float32Array): number {
  const D = expected.length;
  const differences = new Float32Array(D);
  const sizes = new Float32Array(D);
  let [squaredDifference, squaredSize] = [0, 0];
  for (let d = 0; d < D; d++) {
    differences[d] = Math.abs(row[d]! - expected[d]!);
    sizes[d] = Math.abs(expected[d]!);
    squaredDifference += differences[d]! ** 2;
    squaredSize += sizes[d]! ** 2;
  }
  const quartile = upperQuartile(differences) / Math.max(upperQuartile(sizes), Number.MIN_VALUE);
  const norm = Math.sqrt(squaredDifference / Math.max(squaredSize, Number.MIN_VALUE));
  const larger = Math.max(quartile, norm);
  return Number.isNaN(larger) ? Number.POSITIVE_INFINITY : larger;
}

function upperQuartile(values: Float32Array): number {
  return values.sort()[Math.floor(0.75 * values.length)]!;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
