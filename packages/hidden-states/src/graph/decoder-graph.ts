import { createGraph, encodeGraph, type Graph, int64, type Value } from '@scorer/core/onnx';
import type { Storage } from '@scorer/core/schema';
import type { DecoderSpec, LayerTensorNames } from '../model/decoder-spec.js';
import type { DecoderModel } from '../model/load-model.js';
import { type ComputeType, type GraphWeights, graphWeights } from './graph-weights.js';

export interface DecoderGraphOptions {
  /** Layers to output, ascending: 0 = embeddings, k = after layer k, the last = after the final norm. */
  layers: readonly number[];
  compute: ComputeType;
  storage: Storage;
}

/** Inputs of the graph: `input_ids` int32 [1, T] and `positions` int32 [S]. */
export const INPUT_IDS = 'input_ids';
export const POSITIONS = 'positions';

/** Output of the graph for a layer: [S, D], rows in the order of `positions`. */
export const hiddenStatesOutput = (layer: number): string => `hidden_states.${layer}`;

/** How states leave the graph; ONNX Runtime for Node has no bfloat16 tensors, so those leave as float32. */
export const OUTPUT_TYPE: Record<Storage, 'float16' | 'float32'> = { F16: 'float16', BF16: 'float32', F32: 'float32' };

/**
 * The decoder without lm_head as an ONNX model whose weights are references into the model's own safetensors files.
 * One causal pass over a whole sequence. Only the rows at `positions` leave the graph; layers after the last wanted
 * one are not built, and that one's projections are computed at the wanted positions alone.
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
  const builder: Builder = { graph, spec, weights };

  const atPositions = (states: Value): Value => graph.node('Gather', [states, positions], { attributes: { axis: 1 } });
  const output = (layer: number, gathered: Value): void => {
    const type = OUTPUT_TYPE[options.storage];
    const rows = graph.node('Reshape', [gathered, int64(graph, [-1, D])]);
    const stored = options.compute === type ? rows : graph.cast(rows, type);
    graph.output(hiddenStatesOutput(layer), stored, type, ['S', D]);
  };

  let residual = weights.rows(embeddings, [spec.vocabularySize, D], inputIds); // [1, T, D]
  if (options.layers.includes(0)) output(0, atPositions(residual));

  const lastLayer = options.layers.at(-1)!;
  if (lastLayer === 0) return encodeGraph(graph);

  const sequence = sequenceInputs(builder, inputIds, options.compute);
  let normed = rmsNorm(builder, residual, tensorsOf(0).attentionNorm, D);
  for (let layer = 1; layer <= lastLayer; layer++) {
    const tensors = tensorsOf(layer - 1);
    let attended = selfAttention(builder, tensors, normed, sequence);
    if (layer === lastLayer) {
      // From here on nothing mixes tokens.
      attended = atPositions(attended);
      residual = atPositions(residual);
    }
    const projected = attentionOutput(builder, tensors, attended);
    [normed, residual] = addAndNorm(builder, projected, residual, tensors.mlpNorm);

    const nextNorm = layer === layerCount ? finalNorm : tensorsOf(layer).attentionNorm;
    [normed, residual] = addAndNorm(builder, mlp(builder, tensors, normed), residual, nextNorm);
    if (options.layers.includes(layer)) {
      const states = layer === layerCount ? normed : residual;
      output(layer, layer === lastLayer ? states : atPositions(states));
    }
  }
  return encodeGraph(graph);
}

interface Builder {
  readonly graph: Graph;
  readonly spec: DecoderSpec;
  readonly weights: GraphWeights;
}

/** What the attention of every layer shares. */
interface SequenceInputs {
  /** T − 1, int32 [1] */
  readonly lastIndex: Value;
  /** T, int32 scalar */
  readonly length: Value;
  /** Of every position's angles, [T, d / 2] */
  readonly cos: Value;
  readonly sin: Value;
}

function sequenceInputs({ graph, spec }: Builder, inputIds: Value, compute: ComputeType): SequenceInputs {
  const { inverseFrequencies } = spec.rotary;
  const scalar = int64(graph, [], [0]);
  const length = graph.node('Shape', [inputIds], { attributes: { start: 1, end: 2 } }); // int64 [1]
  const length32 = graph.cast(length, 'int32');

  const zero = graph.constant('int64', [], BigInt64Array.of(0n));
  const one = graph.constant('int64', [], BigInt64Array.of(1n));
  const range = graph.node('Range', [zero, graph.node('Reshape', [length, scalar]), one]);
  const column = graph.node('Unsqueeze', [graph.cast(range, 'float32'), int64(graph, [1])]); // [T, 1]
  // float32 throughout, as in transformers, whatever the compute type.
  const frequencies = graph.constant('float32', [1, inverseFrequencies.length], inverseFrequencies);
  const angles = graph.node('Mul', [column, frequencies]);
  return {
    lastIndex: graph.node('Sub', [length32, graph.constant('int32', [1], Int32Array.of(1))]),
    length: graph.node('Reshape', [length32, scalar]),
    cos: graph.cast(graph.node('Cos', [angles]), compute),
    sin: graph.cast(graph.node('Sin', [angles]), compute),
  };
}

/** Causal grouped-query attention with rotary positions, before its output projection; [1, T, D] → [1, T, H·d]. */
function selfAttention(builder: Builder, tensors: LayerTensorNames, normed: Value, sequence: SequenceInputs): Value {
  const { graph, spec } = builder;
  const { hiddenSize: D, headCount: H, keyValueHeadCount: K, headSize: d } = spec;
  const project = (name: string, heads: number): Value =>
    linear(builder, normed, name, { from: D, to: heads * d, bias: spec.bias.queryKeyValue });
  const normHeads = (states: Value, norm: string, heads: number): Value => {
    if (!spec.queryKeyNorm) return states;
    const byHead = graph.node('Reshape', [states, int64(graph, [0, -1, d])]); // [1, T·heads, d]
    return graph.node('Reshape', [rmsNorm(builder, byHead, norm, d), int64(graph, [0, -1, heads * d])]);
  };
  const query = normHeads(project(tensors.query, H), tensors.queryNorm, H);
  const key = normHeads(project(tensors.key, K), tensors.keyNorm, K);
  const value = project(tensors.value, K);

  const past = undefined;
  const { lastIndex, length, cos, sin } = sequence;
  const [attended] = graph.nodes('GroupQueryAttention', [query, key, value, past, past, lastIndex, length, cos, sin], {
    domain: 'com.microsoft',
    outputs: 3,
    attributes: { num_heads: H, kv_num_heads: K, do_rotary: 1 },
  });
  return attended!;
}

function attentionOutput(builder: Builder, tensors: LayerTensorNames, attended: Value): Value {
  const { hiddenSize: D, headCount: H, headSize: d, bias } = builder.spec;
  return linear(builder, attended, tensors.attentionOutput, { from: H * d, to: D, bias: bias.attentionOutput });
}

/** down(silu(gate(x)) · up(x)); arXiv 2002.05202, SwiGLU. */
function mlp(builder: Builder, tensors: LayerTensorNames, normed: Value): Value {
  const { graph, spec } = builder;
  const { hiddenSize: D, intermediateSize: I } = spec;
  const gate = linear(builder, normed, tensors.gate, { from: D, to: I, bias: false });
  const up = linear(builder, normed, tensors.up, { from: D, to: I, bias: false });
  // QuickGelu is x·sigmoid(αx): SiLU for α = 1.
  const silu = graph.node('QuickGelu', [gate], { domain: 'com.microsoft', attributes: { alpha: { float: 1 } } });
  return linear(builder, graph.node('Mul', [silu, up]), tensors.down, { from: I, to: D, bias: false });
}

/** x·Wᵀ + b with W [to, from], as in torch.nn.Linear. */
function linear(
  { graph, weights }: Builder,
  x: Value,
  name: string,
  { from, to, bias }: { from: number; to: number; bias: boolean },
): Value {
  const weight = weights.get(`${name}.weight`, [to, from]);
  const product = graph.node('FusedMatMul', [x, weight], { domain: 'com.microsoft', attributes: { transB: 1 } });
  return bias ? graph.node('Add', [product, weights.get(`${name}.bias`, [to])]) : product;
}

/** x · rsqrt(mean(x²) + ε) · weight over the last axis (arXiv 1910.07467). */
function rmsNorm({ graph, spec, weights }: Builder, x: Value, name: string, size: number): Value {
  return graph.node('SimplifiedLayerNormalization', [x, weights.get(name, [size])], {
    attributes: { axis: -1, epsilon: { float: spec.normEpsilon }, stash_type: 1 },
  });
}

/** Adds x to the residual stream in the same kernel as the norm that follows; returns [norm, sum]. */
function addAndNorm(builder: Builder, x: Value, residual: Value, name: string): [norm: Value, sum: Value] {
  const { graph, spec, weights } = builder;
  const weight = weights.get(name, [spec.hiddenSize]);
  const outputs = graph.nodes('SkipSimplifiedLayerNormalization', [x, residual, weight], {
    domain: 'com.microsoft',
    outputs: 4,
    attributes: { epsilon: { float: spec.normEpsilon } },
  });
  return [outputs[0]!, outputs[3]!];
}
