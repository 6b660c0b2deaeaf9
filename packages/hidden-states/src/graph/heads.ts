import { int64, type Value } from '@scorer/core/onnx';
import type { DecoderSpec } from '../model/decoder-spec.js';
import type { Builder } from './builder.js';
import { rmsNorm } from './projections.js';

/** The attention kernel wants heads of a multiple of 8 dimensions: others get zeros, which add nothing to any product. */
export function kernelHeadSize({ headSize }: DecoderSpec): number {
  return Math.ceil(headSize / KERNEL_HEAD_MULTIPLE) * KERNEL_HEAD_MULTIPLE;
}

const KERNEL_HEAD_MULTIPLE = 8;

/** Every head cut or filled with zeros to another size; [1, T, heads·from] → [1, T, heads·to]. */
export function resizeHeads(
  { graph, options }: Builder,
  states: Value,
  { heads, from, to }: { heads: number; from: number; to: number },
): Value {
  if (from === to) return states;
  const byHead = graph.node('Reshape', [states, int64(graph, [1, -1, heads, from])]);
  const resized =
    from < to
      ? padHeads({ graph, options }, byHead, to - from)
      : graph.node('Slice', [byHead, int64(graph, [0]), int64(graph, [to]), int64(graph, [3])]);
  return graph.node('Reshape', [resized, int64(graph, [1, -1, heads * to])]);
}

/** Zeros after the last axis of [1, T, heads, d]; no device has a kernel of Pad for bfloat16. */
function padHeads({ graph, options }: Pick<Builder, 'graph' | 'options'>, byHead: Value, width: number): Value {
  if (options.compute !== 'bfloat16') return graph.node('Pad', [byHead, int64(graph, [0, 0, 0, 0, 0, 0, 0, width])]);
  const allButLast = graph.node('Shape', [byHead], { attributes: { end: -1 } });
  const shape = graph.node('Concat', [allButLast, int64(graph, [width])], { attributes: { axis: 0 } });
  const zero = graph.cast(graph.constant('float32', [], Float32Array.of(0)), 'bfloat16');
  return graph.node('Concat', [byHead, graph.node('Expand', [zero, shape])], { attributes: { axis: 3 } });
}

/** RMS norm of every head alone; [1, T, heads·d] → the same. */
export function normHeads(builder: Builder, states: Value, norm: string | undefined, heads: number): Value {
  const { graph, spec } = builder;
  const d = spec.headSize;
  if (!spec.queryKeyNorm) return states;
  const byHead = graph.node('Reshape', [states, int64(graph, [0, -1, d])]); // [1, T·heads, d]
  return graph.node('Reshape', [rmsNorm(builder, byHead, norm!, d), int64(graph, [0, -1, heads * d])]);
}
