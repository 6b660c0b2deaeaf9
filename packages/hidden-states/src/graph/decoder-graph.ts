import { createGraph, encodeGraph, int64, type Value } from '@scorer/core/onnx';
import type { Storage } from '@scorer/core/schema';
import type { DecoderSpec, TensorNames } from '../model/decoder-spec.js';
import { headTensor } from '../model/head.js';
import type { DecoderModel } from '../model/load-model.js';
import { attentionOutput, selfAttention } from './attention.js';
import type { Builder, DecoderGraphOptions } from './builder.js';
import { type AfterAttention, outputConfidence, STATE_TOKENS } from './confidence.js';
import { graphWeights } from './graph-weights.js';
import { cacheInputs } from './key-value-cache.js';
import { mlp, mlpChunks } from './mlp.js';
import { addAndNorm, lengthOf, rmsNorm } from './projections.js';
import { normOfResidual, outputResidual, residualInput } from './residual-border.js';
import { sequenceInputs } from './sequence.js';
import type { TokenChunks } from './token-chunks.js';

/** Inputs of the graph: `input_ids` int32 [1, T] and `positions` int32 [S], indices into these tokens. */
export const INPUT_IDS = 'input_ids';
export const POSITIONS = 'positions';

/** Output of the graph for a layer: [S, D], rows in the order of `positions`. */
export const hiddenStatesOutput = (layer: number): string => `hidden_states.${layer}`;

/** How many decoder layers run, and so have keys and values. */
export function computedLayers(
  { layers, confidence }: Pick<DecoderGraphOptions, 'layers' | 'confidence'>,
  { layerCount }: DecoderSpec,
): number {
  return confidence ? layerCount : layers.at(-1)!;
}

/** How states leave the graph; ONNX Runtime for Node has no bfloat16 tensors, so those leave as float32. */
export const OUTPUT_TYPE: Record<Storage, 'float16' | 'float32'> = { F16: 'float16', BF16: 'float32', F32: 'float32' };

/**
 * The decoder as an ONNX model, with lm_head for confidence alone, whose weights are references into the model's own safetensors files.
 * One causal pass over a whole sequence, or over what follows tokens whose keys and values are known. Only the rows at `positions` leave the graph; layers after
 * the last wanted one are not built, and that one's projections are computed at the wanted positions alone. A group of
 * layers after the first takes the residual stream in place of the tokens, and all groups but the last give it on.
 * @throws ScorerError the codes of `headTensor`; `TENSOR_MISSING`, `TENSOR_SHAPE`, `TENSOR_DTYPE` where the files do not fit config.json.
 */
export function buildDecoderGraph(model: DecoderModel, options: DecoderGraphOptions): Uint8Array {
  const { spec, architecture } = model;
  const { hiddenSize: D, layerCount } = spec;
  const { embeddings, layer: tensorsOf } = architecture.tensors;
  const lastLayer = computedLayers(options, spec);
  const lastWanted = options.layers.at(-1)!;
  const { first, last } = options.group ?? { first: 1, last: lastLayer };

  const graph = createGraph('decoder');
  // [1, T] or [1, T, D]
  const tokens = first === 1 ? graph.input(INPUT_IDS, 'int32', [1, 'T']) : residualInput({ graph, spec, options });
  const positions = graph.input(POSITIONS, 'int32', ['S']);
  const weights = graphWeights(graph, model, options.compute);
  const builder: Builder = { graph, spec, weights, options };

  const atPositions = (states: Value): Value => graph.node('Gather', [states, positions], { attributes: { axis: 1 } });
  const output = (layer: number, gathered: Value): void => {
    const type = OUTPUT_TYPE[options.storage];
    const rows = graph.node('Reshape', [gathered, int64(graph, [-1, D])]);
    const stored = options.compute === type ? rows : graph.cast(rows, type);
    graph.output(hiddenStatesOutput(layer), stored, type, ['S', D]);
  };

  let residual = first === 1 ? weights.rows(embeddings, [spec.vocabularySize, D], tokens) : tokens; // [1, T, D]
  if (first === 1 && options.layers.includes(0)) output(0, atPositions(residual));
  if (lastLayer === 0) return encodeGraph(graph);

  const past = Array.from({ length: last }, (_, layer) =>
    layer < first - 1 ? undefined : cacheInputs(builder, layer),
  );
  const length = lengthOf(builder, tokens, 1);
  const planned = options.confidence ? graph.input(STATE_TOKENS, 'int64', [1]) : length;
  const sequence = sequenceInputs(builder, tokens, past[first - 1], planned);
  const chunks = mlpChunks(builder, length, planned);
  const { attentionNorm } = tensorsOf(first - 1);
  let normed =
    first === 1 ? rmsNorm(builder, residual, attentionNorm, D) : normOfResidual(builder, residual, attentionNorm);
  for (let layer = first; layer <= last; layer++) {
    const tensors = tensorsOf(layer - 1);
    const attention = selfAttention(builder, tensors, normed, { ...sequence, layer: layer - 1, past: past[layer - 1] });
    const isKept = options.layers.includes(layer);
    const rowsAlone = layer === lastWanted || options.compute === 'float32';
    if (isKept && rowsAlone) {
      // Not a bit of these rows depends on whether those of other tokens and layers are computed too. CUDA takes the
      // rows of earlier layers from those of all tokens instead: its kernel computes no fewer.
      const wanted = { attended: attention.at(positions), residual: atPositions(residual) };
      const wantedChunks = mlpChunks(builder, lengthOf(builder, positions, 0));
      const [final, stream] = finishLayer(builder, architecture.tensors, layer, wanted, wantedChunks);
      output(layer, layer === layerCount ? final : stream);
    }
    if (layer < lastLayer) {
      const all = { attended: attention.ofAll(), residual };
      [normed, residual] = finishLayer(builder, architecture.tensors, layer, all, chunks);
      if (isKept && !rowsAlone) output(layer, atPositions(residual));
    } else if (options.confidence) {
      outputConfidence(builder, options.confidence, {
        head: headTensor(model),
        last: { attended: attention.ofAll(), residual },
        finish: (builder, rows) => finishLayer(builder, architecture.tensors, layer, rows)[0],
      });
    }
  }
  if (last < lastLayer) outputResidual(builder, residual);
  return encodeGraph(graph);
}

/** What follows a layer's attention and does not mix tokens; [1, N, …] → the next norm of the stream, and the stream. */
function finishLayer(
  builder: Builder,
  names: TensorNames,
  layer: number,
  { attended, residual }: AfterAttention,
  chunks?: TokenChunks,
): [norm: Value, stream: Value] {
  const tensors = names.layer(layer - 1);
  const projected = attentionOutput(builder, tensors, attended);
  const [normed, sum] = addAndNorm(builder, projected, residual, tensors.mlpNorm);
  const nextNorm = layer === builder.spec.layerCount ? names.finalNorm : names.layer(layer).attentionNorm;
  return addAndNorm(builder, mlp(builder, layer - 1, tensors, normed, chunks), sum, nextNorm);
}
