import type { Value } from '@scorer/core/onnx';
import type { LayerTensorNames } from '../model/decoder-spec.js';
import type { Builder } from './builder.js';
import { linear, linearGroup } from './projections.js';

/** down(silu(gate(x)) · up(x)); arXiv 2002.05202, SwiGLU. */
export function swiGlu(
  builder: Builder,
  tensors: Pick<LayerTensorNames, 'gate' | 'up' | 'down'>,
  normed: Value,
  intermediateSize: number,
): Value {
  const { graph, spec } = builder;
  const { hiddenSize: D, bias } = spec;
  const [gate, up] = linearGroup(builder, normed, {
    names: [tensors.gate, tensors.up],
    widths: [intermediateSize, intermediateSize],
    from: D,
    bias: bias.mlp,
  });
  // QuickGelu is x·sigmoid(αx): SiLU for α = 1.
  const silu = graph.node('QuickGelu', [gate], { domain: 'com.microsoft', attributes: { alpha: { float: 1 } } });
  const gated = graph.node('Mul', [silu, up]);
  return linear(builder, gated, tensors.down, { from: intermediateSize, to: D, bias: bias.mlp });
}
