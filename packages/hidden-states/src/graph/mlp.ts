import { int64, type Value } from '@scorer/core/onnx';
import type { LayerTensorNames } from '../model/decoder-spec.js';
import type { Builder } from './builder.js';
import { linear, linearGroup } from './projections.js';
import { cutTokens, joinTokens, type TokenChunks, tokenChunks } from './token-chunks.js';

/** The intermediate states of the MLP are the widest; more of them at a time takes memory and is no faster. */
const MLP_CHUNK_TOKENS = 512;

/**
 * None for the half types: they are for CUDA, where one large product is faster than a loop.
 * @param length N, int64 [1]
 */
export function mlpChunks({ graph, options }: Builder, length: Value): TokenChunks | undefined {
  return options.compute === 'float32' ? tokenChunks(graph, length, int64(graph, [MLP_CHUNK_TOKENS])) : undefined;
}

/** The MLP, chunk by chunk where there are chunks; [1, N, D] → the same. */
export function mlp(
  builder: Builder,
  tensors: LayerTensorNames,
  normed: Value,
  chunks: TokenChunks | undefined,
): Value {
  const { graph, spec } = builder;
  const D = spec.hiddenSize;
  if (!chunks) return swiGlu(builder, tensors, normed);
  const body = graph.subgraph('mlp');
  const chunk = body.input('chunk', 'float32', ['c', D]);
  body.result(swiGlu({ ...builder, graph: body }, tensors, chunk), 'float32', ['c', D]);
  const cut = cutTokens(graph, normed, chunks, D);
  const computed = graph.node('Scan', [cut], { attributes: { body, num_scan_inputs: 1 } });
  return joinTokens(graph, computed, chunks, D);
}

/** down(silu(gate(x)) · up(x)); arXiv 2002.05202, SwiGLU. */
function swiGlu(builder: Builder, tensors: LayerTensorNames, normed: Value): Value {
  const { graph, spec } = builder;
  const { hiddenSize: D, intermediateSize: I, bias } = spec;
  const [gate, up] = linearGroup(builder, normed, {
    names: [tensors.gate, tensors.up],
    widths: [I, I],
    from: D,
    bias: bias.mlp,
  });
  // QuickGelu is x·sigmoid(αx): SiLU for α = 1.
  const silu = graph.node('QuickGelu', [gate], { domain: 'com.microsoft', attributes: { alpha: { float: 1 } } });
  return linear(builder, graph.node('Mul', [silu, up]), tensors.down, { from: I, to: D, bias: bias.mlp });
}
