import { int64, type Value } from '@scorer/core/onnx';
import { allQueries, type QueryChunks } from './attention-chunks.js';
import type { Builder } from './builder.js';
import { type Cache, KEPT_TOKENS } from './key-value-cache.js';
import { lengthOf } from './projections.js';

/** Input of models with LongRoPE alone, int32 [1]: tokens of the whole trace, which choose between its two rotations. */
export const TRACE_LENGTH = 'trace_length';

/** What the attention of every layer shares. */
export interface SequenceInputs {
  /** Index of the last of these tokens in the sequence, int32 [1] */
  readonly lastIndex: Value;
  /** Tokens up to and with these, int32 scalar */
  readonly length: Value;
  /** Tokens before these, int64 [1] */
  readonly start: Value;
  /** The input `KEPT_TOKENS`, where there is a past */
  readonly kept: Value | undefined;
  /** In which their attention is computed; undefined for all at once, as CUDA's kernel takes them. */
  readonly queries: QueryChunks | undefined;
  /** Index of the first row of cos and sin: 0, int64 [1] */
  readonly firstRow: Value;
  /** Of the angles of these tokens, [T, pairs] */
  readonly cos: Value;
  readonly sin: Value;
}

/** @param planned tokens that chunks are cut for, int64 [1] */
export function sequenceInputs(
  builder: Builder,
  inputIds: Value,
  past: Cache | undefined,
  planned: Value,
): SequenceInputs {
  const { graph, spec, options } = builder;
  const { rotary } = spec;
  const toScalar = int64(graph, [], [0]);
  const scalar = (value: Value): Value => graph.node('Reshape', [value, toScalar]);
  const zero = int64(graph, [0]);

  const length = lengthOf({ graph }, inputIds, 1);
  const start = past ? lengthOf({ graph }, past.key, 2) : zero;
  const end = past ? graph.node('Add', [start, length]) : length;
  const end32 = graph.cast(end, 'int32');

  const range = graph.node('Range', [scalar(start), scalar(end), scalar(int64(graph, [1]))]);
  const column = graph.node('Unsqueeze', [graph.cast(range, 'float32'), int64(graph, [1])]); // [T, 1]
  // float32 throughout, as in transformers, whatever the compute type.
  const row = (frequencies: Float32Array): Value => graph.constant('float32', [1, frequencies.length], frequencies);
  let frequencies = row(rotary.inverseFrequencies);
  if (rotary.long) {
    const above = graph.constant('int32', [1], Int32Array.of(rotary.long.above));
    const isLong = graph.node('Greater', [graph.input(TRACE_LENGTH, 'int32', [1]), above]);
    frequencies = graph.node('Where', [isLong, row(rotary.long.inverseFrequencies), frequencies]);
  }
  const angles = anglesByPart(builder, graph.node('Mul', [column, frequencies]), planned);
  const each = (operator: 'Cos' | 'Sin'): Value => {
    const parts = angles.map((part) => graph.node(operator, [part]));
    return parts.length === 1 ? parts[0]! : graph.node('Concat', parts, { attributes: { axis: 0 } });
  };
  const scaling = graph.constant('float32', [], Float32Array.of(rotary.scaling));
  const scaled = (values: Value): Value => (rotary.scaling === 1 ? values : graph.node('Mul', [values, scaling]));
  return {
    // From the range, which is on the device: a difference of lengths would be computed on the CPU and copied over.
    lastIndex: graph.cast(graph.node('Gather', [range, int64(graph, [-1])]), 'int32'),
    length: scalar(end32),
    start,
    kept: past && graph.input(KEPT_TOKENS, 'int64', [1]),
    queries: options.compute === 'float32' ? allQueries(builder, { length, planned, start }) : undefined,
    firstRow: zero,
    cos: graph.cast(scaled(each('Cos')), options.compute),
    sin: graph.cast(scaled(each('Sin')), options.compute),
  };
}

/**
 * The angles [T, pairs] of the planned tokens, and of those after them where these are there for confidence alone. The
 * kernel of the sine rounds some of the last numbers of a tensor otherwise than within it: which these are must not depend
 * on tokens that lead to no wanted state.
 */
function anglesByPart({ graph, options }: Builder, angles: Value, planned: Value): Value[] {
  if (!options.confidence || options.compute !== 'float32') return [angles];
  const others = graph.node('Sub', [lengthOf({ graph }, angles, 0), planned]);
  const sizes = graph.node('Concat', [planned, others], { attributes: { axis: 0 } });
  return graph.nodes('Split', [angles, sizes], { outputs: 2, attributes: { axis: 0 } });
}
