import { createGraph, encodeGraph, int64, type Value } from '@scorer/core/onnx';
import type { Storage } from '@scorer/core/schema';
import type { DecoderModel } from '../model/load-model.js';
import { attentionOutput, selfAttention } from './attention.js';
import type { Builder, DecoderGraphOptions } from './builder.js';
import { graphWeights } from './graph-weights.js';
import { cacheInputs } from './key-value-cache.js';
import { mlp, mlpChunks } from './mlp.js';
import { addAndNorm, lengthOf, rmsNorm } from './projections.js';
import { sequenceInputs } from './sequence.js';

/** Inputs of the graph: `input_ids` int32 [1, T] and `positions` int32 [S], indices into these tokens. */
export const INPUT_IDS = 'input_ids';
export const POSITIONS = 'positions';

/** Output of the graph for a layer: [S, D], rows in the order of `positions`. */
export const hiddenStatesOutput = (layer: number): string => `hidden_states.${layer}`;

/** How many decoder layers run, and so have keys and values, to get these layers' states. */
export const computedLayers = (layers: readonly number[]): number => layers.at(-1)!;

/** How states leave the graph; ONNX Runtime for Node has no bfloat16 tensors, so those leave as float32. */
export const OUTPUT_TYPE: Record<Storage, 'float16' | 'float32'> = { F16: 'float16', BF16: 'float32', F32: 'float32' };

/**
 * The decoder without lm_head as an ONNX model whose weights are references into the model's own safetensors files.
 * One causal pass over a whole sequence, or over what follows tokens whose keys and values are known. Only the rows at `positions` leave the graph; layers after
 * the last wanted one are not built, and that one's projections are computed at the wanted positions alone.
 * @throws ScorerError `TENSOR_MISSING`, `TENSOR_SHAPE`, `TENSOR_DTYPE` where the files do not fit config.json.
 */
export function buildDecoderGraph(model: DecoderModel, options: DecoderGraphOptions): Uint8Array {
  const { spec, architecture } = model;
  const { hiddenSize: D, layerCount } = spec;
  const { embeddings, finalNorm, layer: tensorsOf } = architecture.tensors;

  const graph = createGraph('decoder');
  const inputIds = graph.input(INPUT_IDS, 'int32', [1, 'T']);
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

  let residual = weights.rows(embeddings, [spec.vocabularySize, D], inputIds); // [1, T, D]
  if (options.layers.includes(0)) output(0, atPositions(residual));

  const lastLayer = computedLayers(options.layers);
  if (lastLayer === 0) return encodeGraph(graph);

  const past = Array.from({ length: lastLayer }, (_, layer) => cacheInputs(builder, layer));
  const sequence = sequenceInputs(builder, inputIds, past[0]);
  let chunks = mlpChunks(builder, lengthOf(builder, inputIds, 1));
  let normed = rmsNorm(builder, residual, tensorsOf(0).attentionNorm, D);
  for (let layer = 1; layer <= lastLayer; layer++) {
    const tensors = tensorsOf(layer - 1);
    let attended = selfAttention(builder, tensors, normed, { ...sequence, layer: layer - 1, past: past[layer - 1] });
    if (layer === lastLayer) {
      // From here on nothing mixes tokens.
      attended = atPositions(attended);
      residual = atPositions(residual);
      chunks = mlpChunks(builder, lengthOf(builder, positions, 0));
    }
    const projected = attentionOutput(builder, tensors, attended);
    [normed, residual] = addAndNorm(builder, projected, residual, tensors.mlpNorm);

    const nextNorm = layer === layerCount ? finalNorm : tensorsOf(layer).attentionNorm;
    [normed, residual] = addAndNorm(builder, mlp(builder, tensors, normed, chunks), residual, nextNorm);
    if (options.layers.includes(layer)) {
      const states = layer === layerCount ? normed : residual;
      output(layer, layer === lastLayer ? states : atPositions(states));
    }
  }
  return encodeGraph(graph);
}
