import { fileURLToPath } from 'node:url';
import { openSafetensors } from '@scorer/core/safetensors';
import { expect, test } from 'vitest';
import type { FeatureRows } from './engine.js';
import { fitPca } from './pca.js';
import { RUNTIMES } from './runtime.js';

/** By scikit-learn: tools/oracles/pca.py. */
const FIXTURE = fileURLToPath(new URL('./fixtures/pca.safetensors', import.meta.url));
const OPTIONS = { seed: 0, rowType: 'float32', device: 'cpu', threads: 1 } as const;

async function* inParts(data: Float32Array, width: number, partRows: number): AsyncGenerator<FeatureRows> {
  for (let from = 0; from < data.length; from += partRows * width) {
    const part = data.slice(from, from + partRows * width);
    yield { type: 'float32', count: part.length / width, data: part };
  }
}

test("the components are scikit-learn's up to sign, with the largest entry of each positive", async () => {
  const file = await openSafetensors(FIXTURE);
  const floats = async (name: string): Promise<Float32Array> =>
    new Float32Array((await file.read(name)).slice().buffer);
  const [rows, mean, scale, expected] = [
    await floats('rows'),
    await floats('mean'),
    await floats('scale'),
    await floats('components'),
  ];
  await file.close();
  const width = mean.length;
  const count = expected.length / width;

  const options = { ...OPTIONS, components: count };
  const transform = await fitPca(RUNTIMES.onnx, inParts(rows, width, 150), { mean, scale }, options);
  for (let c = 0; c < count; c++) {
    const ours = [...transform.components!.subarray(c * width, (c + 1) * width)];
    const theirs = [...expected.subarray(c * width, (c + 1) * width)];
    const cosine = ours.reduce((sum, x, d) => sum + x * theirs[d]!, 0);
    expect(Math.abs(cosine), `component ${c}`).toBeGreaterThan(1 - 1e-5);
    expect(Math.max(...ours)).toBe(Math.max(...ours.map(Math.abs)));
  }
});

test('no more components come out than there are inputs', async () => {
  const data = Float32Array.from({ length: 30 }, (_, i) => Math.sin(i * i));
  const base = { mean: new Float32Array(3), scale: Float32Array.of(1, 1, 1) };
  const { components } = await fitPca(RUNTIMES.onnx, inParts(data, 3, 4), base, { ...OPTIONS, components: 5 });
  expect(components).toHaveLength(9);
});
