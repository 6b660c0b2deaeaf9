import { setImmediate as nextTurn } from 'node:timers/promises';
import { createGraph, type Graph, type TensorData, tensorOps } from '@scorer/core/onnx';
import { randomStream } from '@scorer/core/random';
import type { FeatureRows, InputTransform } from './engine.js';
import type { Runtime, RuntimeOptions } from './runtime.js';

export interface PcaOptions extends RuntimeOptions {
  /** How many components, k. */
  readonly components: number;
  /** Of the start of the iteration; the result hardly depends on it. */
  readonly seed: number;
  readonly rowType: FeatureRows['type'];
}

/** Directions more than asked for, as scikit-learn's randomized PCA has them: they let the last wanted ones converge. */
const OVERSAMPLING = 10;
/** The iteration ends when its directions hold no larger a share of the variance than those before, by this much… */
const TOLERANCE = 1e-7;
/** …or after so many products with the covariance, where neighbouring variances are all but equal. */
const MAX_ITERATIONS = 100;

/**
 * The principal components of rows that come in parts, each row taken as (x − mean) / scale: the k directions of most
 * variance, by subspace iteration on the covariance (Halko, Martinsson & Tropp 2011, algorithm 4.4). Signs are those that
 * make each component's largest entry positive. One pass over the rows; memory for a few matrices [D, D].
 * @returns the transform with its components [k, D], orthonormal, in order of variance
 */
export async function fitPca(
  runtime: Runtime,
  parts: AsyncIterable<FeatureRows>,
  { mean, scale }: InputTransform,
  options: PcaOptions,
): Promise<InputTransform> {
  const D = mean.length;
  const wanted = Math.min(options.components, D);
  const covariance = await covarianceOf(runtime, parts, { mean, scale }, options);

  const session = await runtime.open(productGraph(D), options);
  let feeds: Record<string, TensorData> = { covariance: matrix(covariance, D) };
  const product = async (basis: readonly Float64Array[]): Promise<Float64Array[]> => {
    const flat = new Float32Array(basis.length * D);
    for (const [i, direction] of basis.entries()) flat.set(direction, i * D);
    const { product: result } = await session.run(
      { ...feeds, basis: matrix(flat, D) },
      { fetch: ['product'], carry: { kept: 'covariance' } },
    );
    feeds = {};
    return rowsOf(result!.data as Float32Array, D);
  };
  try {
    const random = randomStream(options.seed, 'principal components');
    const size = Math.min(D, wanted + OVERSAMPLING);
    let basis: Float64Array[] = Array.from({ length: size }, () =>
      Float64Array.from({ length: D }, () => random.uniform() - 0.5),
    );
    let variance = 0;
    for (let iteration = 0; iteration < MAX_ITERATIONS; iteration++) {
      basis = await orthonormalised(basis);
      const images = await product(basis);
      const held = basis.reduce((sum, direction, i) => sum + dot(direction, images[i]!), 0);
      if (held <= variance * (1 + TOLERANCE)) break;
      variance = held;
      basis = images;
    }
    basis = await orthonormalised(basis);
    const components = principal(basis, await product(basis)).slice(0, wanted);
    return { mean, scale, components: Float32Array.from(components.flatMap((row) => Array.from(row))) };
  } finally {
    await session.close();
  }
}

/** Σ x̂·x̂ᵀ of the transformed rows, [D, D]. */
async function covarianceOf(
  runtime: Runtime,
  parts: AsyncIterable<FeatureRows>,
  { mean, scale }: InputTransform,
  options: PcaOptions,
): Promise<Float32Array> {
  const D = mean.length;
  const session = await runtime.open(covarianceGraph(mean, scale, options.rowType), options);
  let feeds: Record<string, TensorData> = { sum: matrix(new Float32Array(D * D), D) };
  try {
    for await (const { type, count, data } of parts) {
      await session.run(
        // A copy: rows may lie in shared memory, which ONNX Runtime does not take.
        { ...feeds, rows: { type, dims: [count, D], data: data.slice() } },
        { fetch: [], carry: { next_sum: 'sum' } },
      );
      feeds = {};
    }
    const { sum } = await session.carried(['sum']);
    return sum!.data as Float32Array;
  } finally {
    await session.close();
  }
}

function covarianceGraph(mean: Float32Array, scale: Float32Array, rowType: FeatureRows['type']): Graph {
  const ops = tensorOps(createGraph('covariance'));
  const D = mean.length;
  const rows = ops.cast(ops.input('rows', rowType, ['R', D]), 'float32');
  const sum = ops.input('sum', 'float32', [D, D]);
  const centred = ops.sub(rows, ops.constant('float32', [D], mean));
  const x = ops.div(centred, ops.constant('float32', [D], scale));
  ops.output('next_sum', ops.add(sum, ops.matMul(x, x, { transposeA: true })));
  return ops.graph;
}

/** basis [L, D] · covariance [D, D], which stays in the session. */
function productGraph(D: number): Graph {
  const ops = tensorOps(createGraph('product'));
  const covariance = ops.input('covariance', 'float32', [D, D]);
  ops.output('product', ops.matMul(ops.input('basis', 'float32', ['L', D]), covariance));
  ops.output('kept', covariance);
  return ops.graph;
}

/** Gram–Schmidt, each vector against those before it twice, which keeps them orthogonal to the last digits. */
async function orthonormalised(vectors: readonly Float64Array[]): Promise<Float64Array[]> {
  const basis: Float64Array[] = [];
  for (const vector of vectors) {
    const rest = vector.slice();
    for (const direction of [...basis, ...basis]) subtractMultiple(rest, direction, dot(rest, direction));
    const length = Math.sqrt(dot(rest, rest));
    // A direction without variance: what is left is rounding.
    if (length > 0) basis.push(rest.map((x) => x / length));
    await nextTurn();
  }
  return basis;
}

/** Rotates an invariant subspace's basis into its eigenvectors, those of the largest eigenvalues first (Rayleigh–Ritz). */
function principal(basis: readonly Float64Array[], images: readonly Float64Array[]): Float64Array[] {
  const projected = basis.map((direction) => Float64Array.from(images, (image) => dot(direction, image)));
  const { values, vectors } = symmetricEigen(projected);
  const order = [...values.keys()].sort((a, b) => values[b]! - values[a]!);
  return order.map((column) => {
    const component = new Float64Array(basis[0]!.length);
    for (const [i, direction] of basis.entries()) subtractMultiple(component, direction, -vectors[i]![column]!);
    const largest = component.reduce((most, x) => (Math.abs(x) > Math.abs(most) ? x : most), 0);
    return largest < 0 ? component.map((x) => -x) : component;
  });
}

/**
 * Eigenvalues and eigenvectors (columns) of a symmetric matrix, by cyclic Jacobi rotations (Golub & Van Loan, Matrix
 * Computations, 8.5).
 */
function symmetricEigen(symmetric: readonly Float64Array[]): { values: Float64Array; vectors: Float64Array[] } {
  const n = symmetric.length;
  const A = symmetric.map((row, i) => row.map((x, j) => (x + symmetric[j]![i]!) / 2));
  const vectors = A.map((_, i) => Float64Array.from({ length: n }, (_, j) => Number(i === j)));
  const rows = [...A, ...vectors];
  const norm = A.reduce((sum, row) => sum + dot(row, row), 0);
  const offDiagonal = (): number => A.reduce((sum, row, i) => sum + dot(row, row) - row[i]! ** 2, 0);
  while (offDiagonal() > 1e-24 * norm) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (A[p]![q] === 0) continue;
        const theta = (A[q]![q]! - A[p]![p]!) / (2 * A[p]![q]!);
        const tangent = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const cosine = 1 / Math.hypot(tangent, 1);
        const sine = tangent * cosine;
        for (const row of rows) {
          const [x, y] = [row[p]!, row[q]!];
          row[p] = cosine * x - sine * y;
          row[q] = sine * x + cosine * y;
        }
        for (let j = 0; j < n; j++) {
          const [x, y] = [A[p]![j]!, A[q]![j]!];
          A[p]![j] = cosine * x - sine * y;
          A[q]![j] = sine * x + cosine * y;
        }
      }
    }
  }
  return { values: Float64Array.from(A, (row, i) => row[i]!), vectors };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function subtractMultiple(target: Float64Array, vector: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i]! -= factor * vector[i]!;
}

function matrix(data: Float32Array, columns: number): TensorData {
  return { type: 'float32', dims: [data.length / columns, columns], data };
}

function rowsOf(flat: Float32Array, width: number): Float64Array[] {
  return Array.from({ length: flat.length / width }, (_, i) =>
    Float64Array.from(flat.subarray(i * width, (i + 1) * width)),
  );
}
