import type { Value } from '@scorer/core/onnx';
import type { Builder } from './builder.js';
import type { RowStack } from './graph-weights.js';

/** Projections of the same states; those with the same name are stacked by rows in one tensor, in this order. */
export interface LinearGroup {
  readonly names: readonly string[];
  readonly widths: readonly number[];
  readonly from: number;
  readonly bias: boolean;
}

export function linearGroup(builder: Builder, x: Value, group: LinearGroup): Value[] {
  return group.names.map((_, i) => linearOfGroup(builder, x, group, i));
}

/** One projection of the group alone. */
export function linearOfGroup(
  builder: Builder,
  x: Value,
  { names, widths, from, bias }: LinearGroup,
  index: number,
): Value {
  const name = names[index]!;
  const rowsWhere = (counts: (at: number) => boolean): number =>
    widths.reduce((sum, width, at) => (names[at] === name && counts(at) ? sum + width : sum), 0);
  const stack = { rows: rowsWhere(() => true), first: rowsWhere((at) => at < index) };
  return linear(builder, x, name, { from, to: widths[index]!, bias, stack });
}

/** x·Wᵀ + b with W [to, from], as in torch.nn.Linear. */
export function linear(
  { graph, weights }: Builder,
  x: Value,
  name: string,
  { from, to, bias, stack }: { from: number; to: number; bias: boolean; stack?: RowStack },
): Value {
  const weight = weights.get(`${name}.weight`, [to, from], stack);
  const product = graph.node('FusedMatMul', [x, weight], { domain: 'com.microsoft', attributes: { transB: 1 } });
  return bias ? graph.node('Add', [product, weights.get(`${name}.bias`, [to], stack)]) : product;
}

/** x · rsqrt(mean(x²) + ε) · weight over the last axis (arXiv 1910.07467). */
export function rmsNorm({ graph, spec, weights }: Builder, x: Value, name: string, size: number): Value {
  return graph.node('SimplifiedLayerNormalization', [x, weights.get(name, [size])], {
    attributes: { axis: -1, epsilon: { float: spec.normEpsilon }, stash_type: 1 },
  });
}

/** Adds x to the residual stream in the same kernel as the norm that follows; returns [norm, sum]. */
export function addAndNorm(builder: Builder, x: Value, residual: Value, name: string): [norm: Value, sum: Value] {
  const { graph, spec, weights } = builder;
  const weight = weights.get(name, [spec.hiddenSize]);
  const outputs = graph.nodes('SkipSimplifiedLayerNormalization', [x, residual, weight], {
    domain: 'com.microsoft',
    outputs: 4,
    attributes: { epsilon: { float: spec.normEpsilon } },
  });
  return [outputs[0]!, outputs[3]!];
}

/** Length of one axis, int64 [1]. */
export function lengthOf({ graph }: Pick<Builder, 'graph'>, value: Value, axis: number): Value {
  return graph.node('Shape', [value], { attributes: { start: axis, end: axis + 1 } });
}
