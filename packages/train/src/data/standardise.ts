import { f16ToF32 } from '@scorer/core/safetensors';
import type { FeatureRows, InputTransform } from '../engine/engine.js';

/**
 * Mean and standard deviation of each input over rows that come in parts, as scikit-learn's StandardScaler has them:
 * division by n, and a scale of 1 where an input never varies. In double precision, of differences to the first row, so
 * that a large mean costs no digits.
 */
export async function standardScale(
  parts: AsyncIterable<FeatureRows>,
  width: number,
  signal?: AbortSignal,
): Promise<InputTransform> {
  let first: Float32Array | undefined;
  const sums = new Float64Array(width);
  const squareSums = new Float64Array(width);
  let count = 0;
  const row = new Float32Array(width);

  for await (const rows of parts) {
    signal?.throwIfAborted();
    for (let r = 0; r < rows.count; r++) {
      widenRow(rows, r * width, row);
      first ??= row.slice();
      for (let d = 0; d < width; d++) {
        const difference = row[d]! - first[d]!;
        sums[d]! += difference;
        squareSums[d]! += difference * difference;
      }
    }
    count += rows.count;
  }

  const mean = new Float32Array(width);
  const scale = new Float32Array(width);
  for (let d = 0; d < width; d++) {
    const meanDifference = sums[d]! / count;
    const variance = Math.max(0, squareSums[d]! / count - meanDifference ** 2);
    mean[d] = first![d]! + meanDifference;
    scale[d] = Math.fround(Math.sqrt(variance)) || 1;
  }
  return { mean, scale };
}

function widenRow(rows: FeatureRows, from: number, target: Float32Array): void {
  const to = from + target.length;
  if (rows.type === 'float16') f16ToF32(rows.data.subarray(from, to), target);
  else target.set(rows.data.subarray(from, to));
}
