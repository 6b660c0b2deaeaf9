import { readFileSync } from 'node:fs';
import { f32ToF16 } from '@scorer/core/safetensors';
import { expect, test } from 'vitest';
import type { FeatureRows } from '../engine/engine.js';
import { standardScale } from './standardise.js';

const { rows, mean, scale }: { rows: number[][]; mean: number[]; scale: number[] } = JSON.parse(
  readFileSync(new URL('./fixtures/standardise.json', import.meta.url), 'utf8'),
);

async function* parts(type: FeatureRows['type'], partRows: number): AsyncGenerator<FeatureRows> {
  for (let from = 0; from < rows.length; from += partRows) {
    const values = Float32Array.from(rows.slice(from, from + partRows).flat());
    const count = values.length / mean.length;
    if (type === 'float32') yield { type, count, data: values };
    else {
      const data = new Uint16Array(values.length);
      f32ToF16(values, data);
      yield { type, count, data };
    }
  }
}

test.each([
  ['float16', 7],
  ['float32', 50],
] as const)('mean and scale of %s rows in parts of %d are those of scikit-learn', async (type, partRows) => {
  const ours = await standardScale(parts(type, partRows), mean.length);
  for (const [d, value] of mean.entries()) {
    expect(ours.mean[d]).toBe(Math.fround(value));
    expect(Math.abs(ours.scale[d]! / scale[d]! - 1)).toBeLessThan(1e-7);
  }
  // Columns that never vary.
  expect([...ours.scale.subarray(5)]).toEqual([1, 1]);
});
