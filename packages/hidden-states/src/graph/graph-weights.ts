import { ScorerError } from '@scorer/core/errors';
import type { Graph, Value } from '@scorer/core/onnx';
import type { DecoderModel } from '../model/load-model.js';
import type { WeightLocation } from '../model/weights.js';

/** Arithmetic of the forward pass. */
export type ComputeType = 'float32' | 'float16' | 'bfloat16';

/** Of one number. */
export const COMPUTE_BYTES: Readonly<Record<ComputeType, number>> = { float32: 4, float16: 2, bfloat16: 2 };

/**
 * In which states of the compute type leave a graph and come into one: ONNX Runtime for Node has no bfloat16 tensors,
 * and float32 holds every bfloat16.
 */
export const RIM_TYPE: Readonly<Record<ComputeType, 'float32' | 'float16'>> = {
  float32: 'float32',
  float16: 'float16',
  bfloat16: 'float32',
};

const COMPUTE_TYPE_OF_DTYPE: Readonly<Record<string, ComputeType>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
};

/** A model's weights as initializers of a graph: by reference into the safetensors files, each added once. */
export interface GraphWeights {
  /**
   * The tensor in the compute type; ONNX Runtime folds the conversion when it loads the model.
   * @param stack where the tensor holds more rows than these: how many, and which comes first
   */
  get(name: string, shape: readonly number[], stack?: RowStack): Value;
  /** Rows of a table, [V, D] by [1, T] → [1, T, D] in the compute type; only these rows are converted. */
  rows(name: string, shape: readonly [number, number], indices: Value): Value;
}

/** Rows of several projections in one tensor. */
export interface RowStack {
  readonly rows: number;
  readonly first: number;
}

/** @throws ScorerError (on use) `TENSOR_MISSING`, `TENSOR_SHAPE`, `TENSOR_DTYPE`. */
export function graphWeights(graph: Graph, { weights, folder }: DecoderModel, compute: ComputeType): GraphWeights {
  const initializers = new Map<string, Value>();

  const initializer = (
    name: string,
    shape: readonly number[],
    stack: RowStack = { rows: shape[0]!, first: 0 },
  ): { value: Value; type: ComputeType } => {
    const { file, offset, length, dtype } = locate(name, [stack.rows, ...shape.slice(1)]);
    const type = COMPUTE_TYPE_OF_DTYPE[dtype];
    if (!type) throw mismatch('TENSOR_DTYPE', `tensor ${name} has dtype ${dtype}, not F32, F16 or BF16`);
    const whole = stack.rows === shape[0];
    const key = whole ? name : `${name}[${stack.first}:${stack.first + shape[0]!}]`;
    // Rows are contiguous, so a part of a tensor is a range of bytes like a whole one.
    const rowBytes = length / stack.rows;
    const bytes = { location: file, offset: offset + stack.first * rowBytes, length: shape[0]! * rowBytes };
    const value = initializers.get(key) ?? graph.external(key, type, shape, bytes);
    initializers.set(key, value);
    return { value, type };
  };
  const locate = (name: string, shape: readonly number[]): WeightLocation => {
    const location = weights.tensors.get(name);
    if (!location) throw mismatch('TENSOR_MISSING', `tensor ${name} is missing`);
    if (location.shape.join() !== shape.join()) {
      throw mismatch('TENSOR_SHAPE', `tensor ${name} is [${location.shape}], config.json asks for [${shape}]`);
    }
    return location;
  };
  const mismatch = (code: string, what: string): ScorerError =>
    new ScorerError({ code, what, where: folder, hint: 'config.json and the weight files must be of one model' });

  const converted = (value: Value, type: ComputeType): Value => (type === compute ? value : graph.cast(value, compute));
  return {
    get(name, shape, stack) {
      const { value, type } = initializer(name, shape, stack);
      return converted(value, type);
    },
    rows(name, shape, indices) {
      const { value, type } = initializer(name, shape);
      return converted(graph.node('Gather', [value, indices]), type);
    },
  };
}
