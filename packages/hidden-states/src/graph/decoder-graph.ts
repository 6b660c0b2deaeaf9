import { type Attribute, createGraph, encodeGraph, type Graph, int64, type Value } from '@scorer/core/onnx';
import type { Storage } from '@scorer/core/schema';
import type { DecoderSpec, LayerTensorNames } from '../model/decoder-spec.js';
import type { DecoderModel } from '../model/load-model.js';
import { type ComputeType, type GraphWeights, graphWeights, type RowStack } from './graph-weights.js';
import { cutTokens, joinTokens, type TokenChunks, tokenChunks } from './token-chunks.js';

export interface DecoderGraphOptions {
  /** Layers to output, ascending: 0 = embeddings, k = after layer k, the last = after the final norm. */
  layers: readonly number[];
  compute: ComputeType;
  storage: Storage;
  /** Takes the keys and values of the tokens before these, and gives them on with its own; false by default. */
  takesPast?: boolean;
}

/** Inputs of the graph: `input_ids` int32 [1, T] and `positions` int32 [S], indices into these tokens. */
export const INPUT_IDS = 'input_ids';
export const POSITIONS = 'positions';

/** Input of models with LongRoPE alone, int32 [1]: tokens of the whole trace, which choose between its two rotations. */
export const TRACE_LENGTH = 'trace_length';

/** Output of the graph for a layer: [S, D], rows in the order of `positions`. */
export const hiddenStatesOutput = (layer: number): string => `hidden_states.${layer}`;

/** Keys and values of a decoder layer (from 0), [1, K, tokens, `kernelHeadSize`]: inputs and outputs of a graph that takes them. */
export const pastInputs = (layer: number): CacheNames => ({ key: `past.${layer}.key`, value: `past.${layer}.value` });
export const presentOutputs = (layer: number): CacheNames => ({
  key: `present.${layer}.key`,
  value: `present.${layer}.value`,
});

interface CacheNames {
  readonly key: string;
  readonly value: string;
}

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

interface Builder {
  readonly graph: Graph;
  readonly spec: DecoderSpec;
  readonly weights: GraphWeights;
  readonly options: DecoderGraphOptions;
}

interface Cache {
  readonly key: Value;
  readonly value: Value;
}

/** Keys and values of the tokens before these, [1, K, P, d]. */
function cacheInputs({ graph, spec, options }: Builder, layer: number): Cache | undefined {
  if (!options.takesPast) return undefined;
  const shape = [1, spec.keyValueHeadCount, 'P', kernelHeadSize(spec)];
  const { key, value } = pastInputs(layer);
  const type = cacheType(options);
  return { key: graph.input(key, type, shape), value: graph.input(value, type, shape) };
}

/** ONNX Runtime for Node has no bfloat16 tensors: a past is for float32 and float16. */
function cacheType({ compute }: DecoderGraphOptions): 'float32' | 'float16' {
  return compute === 'float16' ? 'float16' : 'float32';
}

/** What the attention of every layer shares. */
interface SequenceInputs {
  /** Index of the last of these tokens in the sequence, int32 [1] */
  readonly lastIndex: Value;
  /** Tokens up to and with these, int32 scalar */
  readonly length: Value;
  /** Tokens before these, int64 [1] */
  readonly start: Value;
  /** In which their attention is computed; undefined for all at once. */
  readonly chunks: TokenChunks | undefined;
  /** Index of the first row of cos and sin: 0, int64 [1] */
  readonly firstRow: Value;
  /** Of the angles of these tokens, [T, pairs] */
  readonly cos: Value;
  readonly sin: Value;
}

function sequenceInputs(builder: Builder, inputIds: Value, past: Cache | undefined): SequenceInputs {
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
  const angles = graph.node('Mul', [column, frequencies]);
  const scaling = graph.constant('float32', [], Float32Array.of(rotary.scaling));
  const scaled = (values: Value): Value => (rotary.scaling === 1 ? values : graph.node('Mul', [values, scaling]));
  return {
    // From the range, which is on the device: a difference of lengths would be computed on the CPU and copied over.
    lastIndex: graph.cast(graph.node('Gather', [range, int64(graph, [-1])]), 'int32'),
    length: scalar(end32),
    start,
    chunks: attentionChunks(builder, length),
    firstRow: zero,
    cos: graph.cast(scaled(graph.node('Cos', [angles])), options.compute),
    sin: graph.cast(scaled(graph.node('Sin', [angles])), options.compute),
  };
}

/** Length of one axis, int64 [1]. */
function lengthOf({ graph }: Pick<Builder, 'graph'>, value: Value, axis: number): Value {
  return graph.node('Shape', [value], { attributes: { start: axis, end: axis + 1 } });
}

/** Causal grouped-query attention with rotary positions, before its output projection; [1, T, D] → [1, T, H·d]. */
function selfAttention(
  builder: Builder,
  tensors: LayerTensorNames,
  normed: Value,
  sequence: SequenceInputs & { layer: number; past: Cache | undefined },
): Value {
  const { spec } = builder;
  const { headCount: H, keyValueHeadCount: K, headSize: d } = spec;
  const { lastIndex, length, layer, past } = sequence;

  const [query, key, value] = linearGroup(builder, normed, {
    names: [tensors.query, tensors.key, tensors.value],
    widths: [H * d, K * d, K * d],
    from: spec.hiddenSize,
    bias: spec.bias.queryKeyValue,
  });
  const inKernel = kernelPlaces(builder);
  const place = (states: Value, norm: string | undefined, heads: number): Value =>
    inKernel ? states : rotate(builder, normHeads(builder, states, norm, heads), heads, sequence);
  const padded = (states: Value, heads: number): Value =>
    resizeHeads(builder, states, { heads, from: d, to: kernelHeadSize(spec) });

  const inputs = [
    padded(place(query!, tensors.queryNorm, H), H),
    padded(place(key!, tensors.keyNorm, K), K),
    padded(value!, K),
  ];
  if (!inKernel && sequence.chunks) {
    const { attended, present } = chunkedAttention(builder, inputs, { ...sequence, chunks: sequence.chunks });
    if (past) outputPresent(builder, layer, present);
    return resizeHeads(builder, attended, { heads: H, from: kernelHeadSize(spec), to: d });
  }
  const placing = inKernel ? kernelPlacing(builder, tensors, sequence) : { inputs: [], attributes: {} };
  const [attended, ...present] = groupQueryAttention(
    builder,
    layer,
    [...inputs, past?.key, past?.value, lastIndex, length, ...placing.inputs],
    placing.attributes,
  );
  if (past) outputPresent(builder, layer, { key: present[0]!, value: present[1]! });
  return resizeHeads(builder, attended!, { heads: H, from: kernelHeadSize(spec), to: d });
}

function outputPresent({ graph, spec, options }: Builder, layer: number, present: Cache): void {
  const { key, value } = presentOutputs(layer);
  const shape = [1, spec.keyValueHeadCount, 'P + T', kernelHeadSize(spec)];
  graph.output(key, present.key, cacheType(options), shape);
  graph.output(value, present.value, cacheType(options), shape);
}

/**
 * Most queries that the attention kernel gets at a time, and for long traces the part of them: it leaves out masked keys
 * by large blocks only, so that a short trace would cost it up to twice the products that a causal mask leaves.
 */
const ATTENTION_CHUNK_TOKENS = 128;
const ATTENTION_CHUNK_SHARE = 64;

function attentionChunks({ graph, options }: Builder, length: Value): TokenChunks | undefined {
  if (options.compute !== 'float32') return undefined;
  const share = graph.node('Div', [length, int64(graph, [ATTENTION_CHUNK_SHARE])]);
  return tokenChunks(graph, length, graph.node('Max', [share, int64(graph, [ATTENTION_CHUNK_TOKENS])]));
}

/** Chunk by chunk, each with the keys and values of those before it as its past. */
function chunkedAttention(
  builder: Builder,
  [query, key, value]: readonly Value[],
  { layer, past, chunks, start }: SequenceInputs & { layer: number; past: Cache | undefined; chunks: TokenChunks },
): { attended: Value; present: Cache } {
  const { graph, spec } = builder;
  const { headCount: H, keyValueHeadCount: K } = spec;
  const d = kernelHeadSize(spec);
  const cut = (states: Value, heads: number): Value => cutTokens(graph, states, chunks, heads * d);
  const [queries, keys, values] = [cut(query!, H), cut(key!, K), cut(value!, K)];
  const nothing = (): Value => graph.node('ConstantOfShape', [int64(graph, [1, K, 0, d])]);

  const body = graph.subgraph('attention');
  const iteration = body.input('iteration', 'int64', []);
  const going = body.input('going', 'bool', []);
  const shape = [1, K, 'before', d];
  const before = { key: body.input('key', 'float32', shape), value: body.input('value', 'float32', shape) };
  const index = body.node('Reshape', [iteration, int64(body, [1])]);
  const chunk = (of: Value): Value => body.node('Gather', [of, index], { attributes: { axis: 0 } }); // [1, c, …]
  const computed = body.node('Mul', [body.node('Add', [index, int64(body, [1])]), chunks.size]);
  const length = body.cast(body.node('Add', [start, computed]), 'int32');
  const last = body.node('Sub', [length, body.constant('int32', [1], Int32Array.of(1))]);
  const [attended, presentKey, presentValue] = groupQueryAttention(
    { ...builder, graph: body },
    layer,
    [
      chunk(queries!),
      chunk(keys!),
      chunk(values!),
      before.key,
      before.value,
      last,
      body.node('Reshape', [length, int64(body, [], [0])]),
    ],
    {},
  );
  body.result(body.node('Identity', [going]), 'bool', []);
  body.result(presentKey!, 'float32', shape);
  body.result(presentValue!, 'float32', shape);
  body.result(attended!, 'float32', [1, 'c', H * d]);

  const count = graph.node('Reshape', [chunks.count, int64(graph, [], [0])]);
  const initial = past ?? { key: nothing(), value: nothing() };
  const [allKeys, allValues, parts] = graph.nodes('Loop', [count, undefined, initial.key, initial.value], {
    outputs: 3,
    attributes: { body },
  });
  // Without the rows that fill the last chunk.
  const end = graph.node('Add', [start, chunks.length]);
  const whole = (states: Value): Value => graph.node('Slice', [states, int64(graph, [0]), end, int64(graph, [2])]);
  return {
    attended: joinTokens(graph, parts!, chunks, H * d),
    present: { key: whole(allKeys!), value: whole(allValues!) },
  };
}

/** @param inputs of the operator; @returns attended, present keys, present values */
function groupQueryAttention(
  { graph, spec }: Builder,
  layer: number,
  inputs: readonly (Value | undefined)[],
  attributes: Record<string, Attribute>,
): Value[] {
  return graph.nodes('GroupQueryAttention', inputs, {
    domain: 'com.microsoft',
    outputs: 3,
    attributes: {
      num_heads: spec.headCount,
      kv_num_heads: spec.keyValueHeadCount,
      local_window_size: spec.attentionWindows[layer] ?? undefined,
      scale: { float: 1 / Math.sqrt(spec.headSize) },
      ...attributes,
    },
  });
}

/**
 * Whether the attention kernel norms and rotates queries and keys itself, in one pass and in float32. Only CUDA's has
 * the norms (the half types are for CUDA); a rotation must be of a multiple of 16 dimensions for it.
 */
function kernelPlaces({ spec, options }: Builder): boolean {
  const rotated = 2 * spec.rotary.inverseFrequencies.length;
  return options.compute !== 'float32' && rotated % 16 === 0 && kernelHeadSize(spec) === spec.headSize;
}

/** What the attention kernel takes for norms and rotation: its inputs from `cos_cache` on, and attributes. */
function kernelPlacing(
  { spec, weights }: Builder,
  { queryNorm, keyNorm }: LayerTensorNames,
  { cos, sin }: SequenceInputs,
): { inputs: (Value | undefined)[]; attributes: Record<string, Attribute> } {
  if (!spec.queryKeyNorm) return { inputs: [cos, sin], attributes: { do_rotary: 1 } };
  const norms = [queryNorm!, keyNorm!].map((name) => weights.get(name, [spec.headSize]));
  // position_ids, attention_bias, head_sink, k_scale, v_scale
  const absent = Array<undefined>(5).fill(undefined);
  return {
    inputs: [cos, sin, ...absent, ...norms],
    attributes: { do_rotary: 1, qk_norm_epsilon: { float: spec.normEpsilon } },
  };
}

/** The attention kernel wants heads of a multiple of 8 dimensions: others get zeros, which add nothing to any product. */
export function kernelHeadSize({ headSize }: DecoderSpec): number {
  return Math.ceil(headSize / KERNEL_HEAD_MULTIPLE) * KERNEL_HEAD_MULTIPLE;
}

const KERNEL_HEAD_MULTIPLE = 8;

/** Every head cut or filled with zeros to another size; [1, T, heads·from] → [1, T, heads·to]. */
function resizeHeads(
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
function normHeads(builder: Builder, states: Value, norm: string | undefined, heads: number): Value {
  const { graph, spec } = builder;
  const d = spec.headSize;
  if (!spec.queryKeyNorm) return states;
  const byHead = graph.node('Reshape', [states, int64(graph, [0, -1, d])]); // [1, T·heads, d]
  return graph.node('Reshape', [rmsNorm(builder, byHead, norm!, d), int64(graph, [0, -1, heads * d])]);
}

/** Rotary positions; a node of its own because the attention kernel's takes multiples of 16 dimensions only. */
function rotate({ graph, spec }: Builder, states: Value, heads: number, sequence: SequenceInputs): Value {
  const rotated = 2 * spec.rotary.inverseFrequencies.length;
  const { firstRow, cos, sin } = sequence;
  return graph.node('RotaryEmbedding', [states, firstRow, cos, sin], {
    domain: 'com.microsoft',
    attributes: { num_heads: heads, rotary_embedding_dim: rotated },
  });
}

function attentionOutput(builder: Builder, tensors: LayerTensorNames, attended: Value): Value {
  const { hiddenSize: D, headCount: H, headSize: d, bias } = builder.spec;
  return linear(builder, attended, tensors.attentionOutput, { from: H * d, to: D, bias: bias.attentionOutput });
}

/** The intermediate states of the MLP are the widest; more of them at a time takes memory and is no faster. */
const MLP_CHUNK_TOKENS = 512;

/**
 * None for the half types: they are for CUDA, where one large product is faster than a loop.
 * @param length N, int64 [1]
 */
function mlpChunks({ graph, options }: Builder, length: Value): TokenChunks | undefined {
  return options.compute === 'float32' ? tokenChunks(graph, length, int64(graph, [MLP_CHUNK_TOKENS])) : undefined;
}

/** The MLP, chunk by chunk where there are chunks; [1, N, D] → the same. */
function mlp(builder: Builder, tensors: LayerTensorNames, normed: Value, chunks: TokenChunks | undefined): Value {
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

/** Projections of the same states; those with the same name are stacked by rows in one tensor, in this order. */
function linearGroup(
  builder: Builder,
  x: Value,
  { names, widths, from, bias }: { names: string[]; widths: number[]; from: number; bias: boolean },
): Value[] {
  return names.map((name, i) => {
    const to = widths[i]!;
    const rowsWhere = (counts: (at: number) => boolean): number =>
      widths.reduce((sum, width, at) => (names[at] === name && counts(at) ? sum + width : sum), 0);
    const stack = { rows: rowsWhere(() => true), first: rowsWhere((at) => at < i) };
    return linear(builder, x, name, { from, to, bias, stack });
  });
}

/** x·Wᵀ + b with W [to, from], as in torch.nn.Linear. */
function linear(
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
