import { float32, type Graph, int64, type Value } from '@scorer/core/onnx';
import type { DecoderSpec } from '../model/decoder-spec.js';
import type { QueryChunks } from './attention-chunks.js';
import type { Builder } from './builder.js';
import { kernelHeadSize } from './heads.js';
import type { Cache } from './key-value-cache.js';
import { cutTokens, joinTokens } from './token-chunks.js';
import { type TokenRange, type VisibleKeys, visibleKeys } from './visible-keys.js';

/** Keys and values of all tokens, behind a made-up key that carries the weight of the masked ones (`causalAttention`). */
export interface FlashKeys {
  /** [K, 1 + L, d + 1]: the made-up key, then those of the tokens, which are zero in the last dimension */
  readonly keys: Value;
  /** The same of values */
  readonly values: Value;
}

/**
 * Scores count as no less than this under a query's largest one. e⁻⁸⁰ of it changes no digit of a sum; what is still
 * smaller would be no normal number, with which processors are many times slower.
 */
const SCORE_FLOOR = -80;

/** @param cache [1, K, L, d]; @param padding rows of zeros after them, int64 [1] */
export function flashKeys({ graph, spec }: Builder, { key, value }: Cache, padding: Value): FlashKeys {
  const K = spec.keyValueHeadCount;
  const d = kernelHeadSize(spec);
  const unit = Float32Array.from({ length: K * (d + 1) }, (_, i) => (i % (d + 1) === d ? 1 : 0));
  const madeUp = graph.constant('float32', [K, 1, d + 1], unit);
  const ends = concat(graph, [int64(graph, [0, 0, 0, 0]), padding, int64(graph, [1])], 0);
  const withMadeUp = (states: Value): Value => {
    const byHead = graph.node('Reshape', [states, int64(graph, [K, -1, d])]);
    return concat(graph, [madeUp, graph.node('Pad', [byHead, ends])], 1);
  };
  return { keys: withMadeUp(key), values: withMadeUp(value) };
}

/**
 * Exact causal attention for the CPU, chunk of queries by chunk of queries, in two parts. The keys that every query of a
 * chunk sees, nearly all in a long trace, go through the flash attention kernel (arXiv 2205.14135), which has no mask;
 * the few that only some of them see are multiplied, masked and normed one by one.
 *
 * The kernel gives no sum of exponentials by which to weigh the two parts. So the first key that it gets is a made-up
 * one, whose score is the log of that sum over the masked keys, and whose value is zero but for a dimension that only it
 * has: what arrives there is the weight of the masked part, and the rest is weighted already.
 *
 * @param queries [1, N, H·d]; @param window most tokens that a query sees, its own included
 * @returns [1, N, H·d]
 */
export function causalAttention(
  builder: Builder,
  queries: Value,
  { chunks, places }: QueryChunks,
  keys: FlashKeys,
  window: number | undefined,
): Value {
  const { graph, spec } = builder;
  const { headCount: H, keyValueHeadCount: K } = spec;
  const d = kernelHeadSize(spec);
  // [n, c, H·d] → [n, K, r, d]: the queries of the H/K heads that share keys are rows of one matrix, r = H/K·c.
  const cut = graph.node('Reshape', [cutTokens(graph, queries, chunks, H * d), int64(graph, [0, -1, H, d])]);
  const byHead = graph.node('Transpose', [cut], { attributes: { perm: [0, 2, 1, 3] } });
  const rows = graph.node('Reshape', [byHead, int64(graph, [0, K, -1, d])]);

  const body = graph.subgraph('attention');
  const query = body.input('query', 'float32', [K, 'r', d]);
  const place = body.input('places', 'int64', ['c']);
  const visible = visibleKeys(body, place, window);
  const inBody = { ...builder, graph: body };
  const masked = maskedAttention(inBody, query, keys, visible);
  const { attended, weightOfMasked } = flashAttention(inBody, query, masked.logSum, keys, visible);
  const weighted = body.node('Mul', [masked.attended, weightOfMasked]);
  body.result(body.node('Add', [weighted, attended]), 'float32', [K, 'r', d]);

  const parts = graph.node('Scan', [rows, places], { attributes: { body, num_scan_inputs: 2 } });
  const ofHeads = graph.node('Reshape', [parts, int64(graph, [0, H, -1, d])]);
  const byToken = graph.node('Transpose', [ofHeads], { attributes: { perm: [0, 2, 1, 3] } });
  return joinTokens(graph, byToken, chunks, H * d);
}

/**
 * Over the keys that only some of the queries see.
 * @returns [K, r, d], and the log of the sum of the exponentials of the scores, [K, r, 1]
 */
function maskedAttention(
  { graph, spec }: Builder,
  query: Value,
  { keys, values }: FlashKeys,
  { masked, mask }: VisibleKeys,
): { attended: Value; logSum: Value } {
  const { headCount: H, keyValueHeadCount: K } = spec;
  // Without the dimension of the made-up key.
  const [zero, d] = [int64(graph, [0]), int64(graph, [kernelHeadSize(spec)])];
  const bounds = masked.map((range) => {
    const { start, end } = inKeys(graph, range);
    return [concat(graph, [start, zero], 0), concat(graph, [end, d], 0), int64(graph, [1, 2])];
  });
  const ofMasked = (states: Value): Value => {
    const slices = bounds.map((bound) => graph.node('Slice', [states, ...bound]));
    return concat(graph, slices, 1);
  };
  const products = graph.node('FusedMatMul', [query, ofMasked(keys)], {
    domain: 'com.microsoft',
    attributes: { transB: 1, alpha: { float: scaleOf(spec) } },
  });
  const byHead = concat(graph, [int64(graph, [H]), graph.node('Shape', [mask])], 0);
  const scores = graph.node('Add', [graph.node('Reshape', [products, byHead]), mask]); // [H, c, masked keys]
  const largestOf = (of: Value): Value => graph.node('ReduceMax', [of, int64(graph, [-1])]);
  const largest = largestOf(scores);
  const floored = graph.node('Max', [scores, graph.node('Add', [largest, float32(graph, SCORE_FLOOR)])]);
  const probabilities = graph.node('Softmax', [floored], { attributes: { axis: -1 } });
  // The largest probability is exp(largest score) / sum.
  const logSum = graph.node('Sub', [largest, graph.node('Log', [largestOf(probabilities)])]);
  const weights = graph.node('Reshape', [probabilities, graph.node('Shape', [products])]);
  return {
    attended: graph.node('MatMul', [weights, ofMasked(values)]),
    logSum: graph.node('Reshape', [logSum, int64(graph, [K, -1, 1])]),
  };
}

/**
 * Over the keys that every query sees.
 * @param logSum as `maskedAttention` returns it
 * @returns [K, r, d] weighted by the part of these keys in all, and the part of the masked ones, [K, r, 1]
 */
function flashAttention(
  { graph, spec }: Builder,
  query: Value,
  logSum: Value,
  { keys, values }: FlashKeys,
  { open }: VisibleKeys,
): { attended: Value; weightOfMasked: Value } {
  const scale = scaleOf(spec);
  const madeUpScore = graph.node('Div', [logSum, float32(graph, scale)]);
  const one = int64(graph, [1]);
  const { start, end } = inKeys(graph, open);
  const ofOpen = (states: Value): Value => {
    const slice = (from: Value, to: Value): Value => graph.node('Slice', [states, from, to, one]);
    const zero = int64(graph, [0]);
    return open.fromFirst ? slice(zero, end) : concat(graph, [slice(zero, one), slice(start, end)], 1);
  };
  // Heads are a batch here, of one head each.
  const both = graph.node(
    'MultiHeadAttention',
    [concat(graph, [query, madeUpScore], 2), ofOpen(keys), ofOpen(values)],
    {
      domain: 'com.microsoft',
      attributes: { num_heads: 1, scale: { float: scale } },
    },
  );
  const sizes = int64(graph, [kernelHeadSize(spec), 1]);
  const [attended, weightOfMasked] = graph.nodes('Split', [both, sizes], { outputs: 2, attributes: { axis: 2 } });
  return { attended: attended!, weightOfMasked: weightOfMasked! };
}

/** Where the keys of these tokens are in `FlashKeys`. */
function inKeys(graph: Graph, { start, end }: TokenRange): TokenRange {
  const one = int64(graph, [1]);
  return { start: graph.node('Add', [start, one]), end: graph.node('Add', [end, one]) };
}

const scaleOf = ({ headSize }: DecoderSpec): number => 1 / Math.sqrt(headSize);

function concat(graph: Graph, parts: readonly Value[], axis: number): Value {
  return parts.length === 1 ? parts[0]! : graph.node('Concat', parts, { attributes: { axis } });
}
