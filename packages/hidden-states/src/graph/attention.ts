import { type Attribute, int64, type Value } from '@scorer/core/onnx';
import type { LayerTensorNames } from '../model/decoder-spec.js';
import { type QueryChunks, wantedQueries } from './attention-chunks.js';
import type { Builder } from './builder.js';
import { causalAttention, flashKeys } from './causal-attention.js';
import { kernelHeadSize, normHeads, resizeHeads } from './heads.js';
import { type Cache, outputPresent } from './key-value-cache.js';
import { linear, linearOfGroup } from './projections.js';
import type { SequenceInputs } from './sequence.js';

/** Causal grouped-query attention of a layer with rotary positions, before its output projection. */
export interface Attention {
  /** [1, T, H·d] */
  ofAll(): Value;
  /** Of the tokens at `positions`, int32 [S] ascending; [1, S, H·d] */
  at(positions: Value): Value;
}

interface LayerInputs extends SequenceInputs {
  /** From 0 */
  readonly layer: number;
  readonly past: Cache | undefined;
}

/** @param normed [1, T, D] */
export function selfAttention(
  builder: Builder,
  tensors: LayerTensorNames,
  normed: Value,
  inputs: LayerInputs,
): Attention {
  const { queries } = inputs;
  return queries
    ? chunkedAttention(builder, tensors, normed, { ...inputs, queries })
    : attentionAtOnce(builder, tensors, normed, inputs);
}

/** On the CPU: of queries there are no more than those of the tokens that are asked for. */
function chunkedAttention(
  builder: Builder,
  tensors: LayerTensorNames,
  normed: Value,
  inputs: LayerInputs & { queries: QueryChunks },
): Attention {
  const { graph, spec } = builder;
  const { headCount: H, keyValueHeadCount: K } = spec;
  const { layer, past, kept, queries: all, start, firstRow } = inputs;
  const window = spec.attentionWindows[layer] ?? undefined;
  const project = projections(builder, tensors);
  const placed = (states: Value, norm: string | undefined, heads: number, rows: Value): Value =>
    rotate(builder, normHeads(builder, states, norm, heads), heads, { ...inputs, rows });

  const tokens = {
    key: byHead(builder, placed(project.key(normed), tensors.keyNorm, K, firstRow)),
    value: byHead(builder, project.value(normed)),
  };
  const after = (before: Value, these: Value): Value =>
    graph.node('Concat', [before, these], { attributes: { axis: 2 } });
  const soFar = past ? { key: after(past.key, tokens.key), value: after(past.value, tokens.value) } : tokens;
  const present = kept ? outputPresent(builder, layer, soFar, kept) : soFar;

  const keys = flashKeys(builder, present, all.chunks.padding);
  const attend = (rows: Value, rotaryRows: Value, queries: QueryChunks): Value => {
    const states = paddedHeads(builder, placed(project.query(rows), tensors.queryNorm, H, rotaryRows), H);
    return ownHeads(builder, causalAttention(builder, states, queries, keys, window));
  };
  return {
    ofAll: () => attend(normed, firstRow, all),
    at(positions) {
      const rows = graph.node('Gather', [normed, positions], { attributes: { axis: 1 } });
      const rotaryRows = graph.node('Reshape', [graph.cast(positions, 'int64'), int64(graph, [1, -1])]);
      return attend(rows, rotaryRows, wantedQueries(builder, positions, start));
    },
  };
}

/** On CUDA, whose kernel norms and places queries and keys itself where it can. */
function attentionAtOnce(builder: Builder, tensors: LayerTensorNames, normed: Value, inputs: LayerInputs): Attention {
  const { graph, spec } = builder;
  const { headCount: H, keyValueHeadCount: K } = spec;
  const { lastIndex, length, layer, past, kept, firstRow } = inputs;
  const project = projections(builder, tensors);
  const inKernel = kernelPlaces(builder);
  const place = (states: Value, norm: string | undefined, heads: number): Value =>
    inKernel ? states : rotate(builder, normHeads(builder, states, norm, heads), heads, { ...inputs, rows: firstRow });

  const placing = inKernel ? kernelPlacing(builder, tensors, inputs) : { inputs: [], attributes: {} };
  const states = [
    paddedHeads(builder, place(project.query(normed), tensors.queryNorm, H), H),
    paddedHeads(builder, place(project.key(normed), tensors.keyNorm, K), K),
    paddedHeads(builder, project.value(normed), K),
  ];
  const [attended, ...present] = graph.nodes(
    'GroupQueryAttention',
    [...states, past?.key, past?.value, lastIndex, length, ...placing.inputs],
    {
      domain: 'com.microsoft',
      outputs: 3,
      attributes: {
        num_heads: H,
        kv_num_heads: K,
        local_window_size: spec.attentionWindows[layer] ?? undefined,
        scale: { float: 1 / Math.sqrt(spec.headSize) },
        ...placing.attributes,
      },
    },
  );
  if (kept) outputPresent(builder, layer, { key: present[0]!, value: present[1]! }, kept);
  const all = ownHeads(builder, attended!);
  return {
    ofAll: () => all,
    at: (positions) => graph.node('Gather', [all, positions], { attributes: { axis: 1 } }),
  };
}

/** The projections of rows [1, N, D] to [1, N, heads·d]. */
function projections(
  builder: Builder,
  { query, key, value }: LayerTensorNames,
): Record<'query' | 'key' | 'value', (rows: Value) => Value> {
  const { hiddenSize, headCount: H, keyValueHeadCount: K, headSize: d, bias } = builder.spec;
  const group = {
    names: [query, key, value],
    widths: [H * d, K * d, K * d],
    from: hiddenSize,
    bias: bias.queryKeyValue,
  };
  const member = (index: number) => (rows: Value) => linearOfGroup(builder, rows, group, index);
  return { query: member(0), key: member(1), value: member(2) };
}

function paddedHeads(builder: Builder, states: Value, heads: number): Value {
  return resizeHeads(builder, states, { heads, from: builder.spec.headSize, to: kernelHeadSize(builder.spec) });
}

/** As [1, N, H·d], of the heads' own size. */
function ownHeads(builder: Builder, attended: Value): Value {
  const { headCount: heads, headSize } = builder.spec;
  return resizeHeads(builder, attended, { heads, from: kernelHeadSize(builder.spec), to: headSize });
}

/** [1, T, K·d] → [1, K, T, d], heads padded */
function byHead(builder: Builder, states: Value): Value {
  const { graph, spec } = builder;
  const K = spec.keyValueHeadCount;
  const shape = int64(graph, [1, -1, K, kernelHeadSize(spec)]);
  const byToken = graph.node('Reshape', [paddedHeads(builder, states, K), shape]);
  return graph.node('Transpose', [byToken], { attributes: { perm: [0, 2, 1, 3] } });
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

/**
 * Rotary positions; a node of its own because the attention kernel's takes multiples of 16 dimensions only.
 * @param place rows of cos and sin: of the first state, int64 [1], or of each, int64 [1, N]
 */
function rotate(
  { graph, spec }: Builder,
  states: Value,
  heads: number,
  { rows, cos, sin }: Pick<SequenceInputs, 'cos' | 'sin'> & { rows: Value },
): Value {
  const rotated = 2 * spec.rotary.inverseFrequencies.length;
  return graph.node('RotaryEmbedding', [states, rows, cos, sin], {
    domain: 'com.microsoft',
    attributes: { num_heads: heads, rotary_embedding_dim: rotated },
  });
}

export function attentionOutput(builder: Builder, tensors: LayerTensorNames, attended: Value): Value {
  const { hiddenSize: D, headCount: H, headSize: d, bias } = builder.spec;
  return linear(builder, attended, tensors.attentionOutput, { from: H * d, to: D, bias: bias.attentionOutput });
}
