import { type Attribute, int64, type Value } from '@scorer/core/onnx';
import type { LayerTensorNames } from '../model/decoder-spec.js';
import type { Builder } from './builder.js';
import { kernelHeadSize, normHeads, resizeHeads } from './heads.js';
import { type Cache, outputPresent } from './key-value-cache.js';
import { linear, linearGroup } from './projections.js';
import type { SequenceInputs } from './sequence.js';
import { cutTokens, joinTokens, type TokenChunks } from './token-chunks.js';

/** Causal grouped-query attention with rotary positions, before its output projection; [1, T, D] → [1, T, H·d]. */
export function selfAttention(
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

/** Rotary positions; a node of its own because the attention kernel's takes multiples of 16 dimensions only. */
function rotate({ graph, spec }: Builder, states: Value, heads: number, sequence: SequenceInputs): Value {
  const rotated = 2 * spec.rotary.inverseFrequencies.length;
  const { firstRow, cos, sin } = sequence;
  return graph.node('RotaryEmbedding', [states, firstRow, cos, sin], {
    domain: 'com.microsoft',
    attributes: { num_heads: heads, rotary_embedding_dim: rotated },
  });
}

export function attentionOutput(builder: Builder, tensors: LayerTensorNames, attended: Value): Value {
  const { hiddenSize: D, headCount: H, headSize: d, bias } = builder.spec;
  return linear(builder, attended, tensors.attentionOutput, { from: H * d, to: D, bias: bias.attentionOutput });
}
