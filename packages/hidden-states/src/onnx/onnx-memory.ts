import { type Device, type DeviceKind, deviceKind, type OnnxInitializer, type OnnxNode } from '@scorer/core/onnx';
import type { MemoryEstimate } from '../memory/estimate.js';
import { adaptGraph } from './adapted-graph.js';
import type { OnnxDecoderModel } from './load-onnx-model.js';
import { PRODUCTS } from './residual-stream.js';

/** Attention that goes through the keys without a matrix of all pairs of tokens. */
const FUSED_ATTENTION = new Set(['GroupQueryAttention', 'MultiHeadAttention', 'Attention']);

/**
 * Node, ONNX Runtime and the tokenizer; of rows as wide as D or H·d, K·d and I those that live at the same time, where a
 * layer's attention and where its MLP is widest; T×T matrices a head. Measured with files of optimum, onnxruntime-genai
 * and torch.onnx of three proportions at 512 to 8,192 tokens (bench/onnx-memory.mjs), the allocator's slack included.
 */
const NEEDS: Record<DeviceKind, { base: number; hidden: number; keyValue: number; intermediate: number }> = {
  cpu: { base: 120 * 2 ** 20, hidden: 14, keyValue: 8, intermediate: 4 },
  // As for a Hugging Face folder: the passes are the same.
  cuda: { base: 2 ** 31, hidden: 14, keyValue: 8, intermediate: 12 },
};
const PAIR_MATRICES = 5;

/** The CPU has float16 kernels for few operators: most compute in float32. */
const ELEMENT_BYTES: Record<DeviceKind, (compute: string) => number> = {
  cpu: () => 4,
  cuda: (compute) => (compute === 'float32' ? 4 : 2),
};

/**
 * Memory of the device that a forward pass takes at most, of what leads to the wanted layers. Sizes that no configuration
 * file tells are taken from the weights.
 * @throws ScorerError the codes of `adaptGraph`
 */
export function estimateOnnxMemory(
  model: OnnxDecoderModel,
  { layers, device }: { layers: readonly number[]; device: Device },
): MemoryEstimate {
  const { nodes, initializers } = adaptGraph(model, { layers, storage: 'F32' });
  const { spec, sizes, graph } = model;
  const { hiddenSize: D } = spec;
  const { headSize = 64, heads = Math.ceil(D / headSize), keyValueHeads = heads } = sizes;
  const { intermediate = widestProduct(nodes, initializers) ?? 4 * D } = sizes;
  const kind = deviceKind(device);
  const bytes = ELEMENT_BYTES[kind](model.compute);
  const { base, ...rows } = NEEDS[kind];

  let weights = 0;
  // Those inside of the .onnx file are read with it before they are loaded.
  let inFile = 0;
  for (const { data, bytes } of initializers.values()) weights += data?.length ?? bytes.length;
  for (const { data, bytes } of graph.initializers.values()) {
    if (!data || data.location === graph.files[0]) inFile += data?.length ?? bytes.length;
  }
  const attention = rows.hidden * Math.max(D, heads * headSize) + rows.keyValue * keyValueHeads * headSize;
  const mlp = rows.intermediate * intermediate + 2 * D;
  const isFused = nodes.some(({ operator }) => FUSED_ATTENTION.has(operator));
  return {
    model: base + weights + (kind === 'cpu' ? inFile : 0),
    perToken: Math.max(attention, mlp) * bytes,
    perTokenPair: isFused ? 0 : PAIR_MATRICES * heads * bytes,
  };
}

/** The widest result of a product with weights: [D, I], or [I, blocks, bytes] where they are quantized. */
function widestProduct(
  nodes: readonly OnnxNode[],
  initializers: ReadonlyMap<string, OnnxInitializer>,
): number | undefined {
  let widest: number | undefined;
  for (const { operator, inputs } of nodes) {
    if (!PRODUCTS.has(operator)) continue;
    for (const name of inputs) {
      const dims = initializers.get(name)?.dims ?? [];
      const width = dims.length === 2 ? Math.max(...dims) : dims.length === 3 ? dims[0]! : 0;
      if (width > (widest ?? 0)) widest = width;
    }
  }
  return widest;
}
