import { type Graph, int64, type Value } from '@scorer/core/onnx';

/**
 * A cut of N tokens into n chunks of the same size c, n = ⌈N / limit⌉ and c = ⌈N / n⌉, with fewer than c rows of zeros
 * after the last token.
 */
export interface TokenChunks {
  /** n and c, int64 [1] */
  readonly count: Value;
  readonly size: Value;
  /** Rows of zeros, int64 [1] */
  readonly padding: Value;
  /** N, int64 [1] */
  readonly length: Value;
}

/**
 * @param length N, int64 [1]; @param limit of a chunk, int64 [1]
 * @param planned tokens that the size of a chunk is computed for, int64 [1]; where there are more, they are more chunks
 */
export function tokenChunks(graph: Graph, length: Value, limit: Value, planned = length): TokenChunks {
  const one = int64(graph, [1]);
  const divideUp = (a: Value, b: Value): Value =>
    graph.node('Div', [graph.node('Sub', [graph.node('Add', [a, b]), one]), b]);
  const size = divideUp(planned, divideUp(planned, limit));
  const count = divideUp(length, size);
  return { count, size, padding: graph.node('Sub', [graph.node('Mul', [count, size]), length]), length };
}

/** [1, N, width] → [n, c, width] */
export function cutTokens(graph: Graph, states: Value, { count, size, padding }: TokenChunks, width: number): Value {
  const ends = concat(graph, int64(graph, [0, 0, 0, 0]), padding, int64(graph, [0]));
  return graph.node('Reshape', [graph.node('Pad', [states, ends]), concat(graph, count, size, int64(graph, [width]))]);
}

/** [n, c, width] → [1, N, width] */
export function joinTokens(graph: Graph, chunks: Value, { length }: TokenChunks, width: number): Value {
  const joined = graph.node('Reshape', [chunks, int64(graph, [1, -1, width])]);
  return graph.node('Slice', [joined, int64(graph, [0]), length, int64(graph, [1])]);
}

function concat(graph: Graph, ...parts: Value[]): Value {
  return graph.node('Concat', parts, { attributes: { axis: 0 } });
}
