import { int64, type Value } from '@scorer/core/onnx';
import type { LayerTensorNames } from '../model/decoder-spec.js';
import type { Builder } from './builder.js';
import { mixtureOfExperts } from './experts.js';
import { swiGlu } from './swiglu.js';
import { cutTokens, joinTokens, type TokenChunks, tokenChunks } from './token-chunks.js';

/** The intermediate states of the MLP are the widest; more of them at a time takes memory and is no faster. */
const MLP_CHUNK_TOKENS = 512;

/** Of a model with experts: each of them gets a part of a chunk, and reads all of its weights for it. */
export const EXPERTS_CHUNK_TOKENS = 2048;

/**
 * None for the half types: they are for CUDA, where one large product is faster than a loop.
 * @param length N, int64 [1]; @param planned as `tokenChunks` has it
 */
export function mlpChunks({ graph, spec, options }: Builder, length: Value, planned = length): TokenChunks | undefined {
  const limit = spec.experts ? EXPERTS_CHUNK_TOKENS : MLP_CHUNK_TOKENS;
  return options.compute === 'float32' ? tokenChunks(graph, length, int64(graph, [limit]), planned) : undefined;
}

/** The MLP of a decoder layer (from 0), chunk by chunk where there are chunks; [1, N, D] → the same. */
export function mlp(
  builder: Builder,
  layer: number,
  tensors: LayerTensorNames,
  normed: Value,
  chunks: TokenChunks | undefined,
): Value {
  const { graph, spec } = builder;
  const D = spec.hiddenSize;
  if (!chunks) return mlpAtOnce(builder, layer, tensors, normed);
  const body = graph.subgraph('mlp');
  const chunk = body.input('chunk', 'float32', ['c', D]);
  body.result(mlpAtOnce({ ...builder, graph: body }, layer, tensors, chunk), 'float32', ['c', D]);
  const cut = cutTokens(graph, normed, chunks, D);
  const computed = graph.node('Scan', [cut], { attributes: { body, num_scan_inputs: 1 } });
  return joinTokens(graph, computed, chunks, D);
}

/** […, D] → the same */
function mlpAtOnce(builder: Builder, layer: number, tensors: LayerTensorNames, normed: Value): Value {
  const { experts, intermediateSize } = builder.spec;
  return experts?.inLayer[layer]
    ? mixtureOfExperts(builder, tensors, experts, normed)
    : swiGlu(builder, tensors, normed, intermediateSize);
}
