import { int64, type Value } from '@scorer/core/onnx';
import type { Builder } from './builder.js';
import { lengthOf } from './projections.js';
import { type TokenChunks, tokenChunks } from './token-chunks.js';

/** Queries that attend together, in chunks. */
export interface QueryChunks {
  readonly chunks: TokenChunks;
  /** Of each query its index in the whole sequence, ascending, int64 [n, c] */
  readonly places: Value;
}

/**
 * Queries in a chunk: a part of them all, within these bounds. Small chunks copy the keys before them more often, large
 * ones multiply more that is masked. Those of wanted tokens, which are far apart, see more masked keys each.
 */
const CHUNK_SHARE = 16;
const LEAST_QUERIES = 128;
const LEAST_WANTED_QUERIES = 32;
const MOST_QUERIES = 256;

/**
 * Of T tokens; the places go on where the last chunk is filled up.
 * @param length T, int64 [1]; @param planned as `tokenChunks` has it; @param start place of the first token, int64 [1]
 */
export function allQueries(
  builder: Builder,
  { length, planned, start }: { length: Value; planned: Value; start: Value },
): QueryChunks {
  const { graph } = builder;
  const chunks = queryChunks(builder, { length, planned, least: LEAST_QUERIES });
  const scalar = (value: Value): Value => graph.node('Reshape', [value, int64(graph, [], [0])]);
  const end = graph.node('Add', [start, graph.node('Add', [chunks.length, chunks.padding])]);
  const places = graph.node('Range', [scalar(start), scalar(end), int64(graph, [1], [])]);
  return { chunks, places: byChunk(builder, places, chunks) };
}

/** Of the tokens at `positions`, int32 [S]; the last place is repeated where the last chunk is filled up. */
export function wantedQueries(builder: Builder, positions: Value, start: Value): QueryChunks {
  const { graph } = builder;
  const length = lengthOf(builder, positions, 0);
  const chunks = queryChunks(builder, { length, planned: length, least: LEAST_WANTED_QUERIES });
  const ends = graph.node('Concat', [int64(graph, [0]), chunks.padding], { attributes: { axis: 0 } });
  const filled = graph.node('Pad', [graph.cast(positions, 'int64'), ends], { attributes: { mode: 'edge' } });
  return { chunks, places: byChunk(builder, graph.node('Add', [filled, start]), chunks) };
}

function queryChunks(
  { graph }: Builder,
  { length, planned, least }: { length: Value; planned: Value; least: number },
): TokenChunks {
  const share = graph.node('Div', [planned, int64(graph, [CHUNK_SHARE])]);
  const atLeast = graph.node('Max', [share, int64(graph, [least])]);
  return tokenChunks(graph, length, graph.node('Min', [atLeast, int64(graph, [MOST_QUERIES])]), planned);
}

function byChunk({ graph }: Builder, places: Value, { count, size }: TokenChunks): Value {
  return graph.node('Reshape', [places, graph.node('Concat', [count, size], { attributes: { axis: 0 } })]);
}
