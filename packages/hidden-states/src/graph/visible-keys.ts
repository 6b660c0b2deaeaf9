import { float32, type Graph, int64, type Value } from '@scorer/core/onnx';

/** Tokens [start, end) of the sequence, int64 [1] each. */
export interface TokenRange {
  readonly start: Value;
  readonly end: Value;
}

/** The keys that a chunk of queries sees. */
export interface VisibleKeys {
  /** Those that every query sees; `fromFirst` where that is known to be from the first token on */
  readonly open: TokenRange & { readonly fromFirst: boolean };
  /** Those that some of them see, around the open ones */
  readonly masked: readonly TokenRange[];
  /** 0 where a query sees a key, else −∞; [c, masked keys] */
  readonly mask: Value;
}

/** @param places of the queries, ascending, int64 [c]; @param window most keys that a query sees, its own included */
export function visibleKeys(graph: Graph, places: Value, window: number | undefined): VisibleKeys {
  const [zero, one] = [int64(graph, [0]), int64(graph, [1])];
  const plus = (place: Value, offset: number): Value => graph.node('Add', [place, int64(graph, [offset])]);
  const larger = (a: Value, b: Value): Value => graph.node('Max', [a, b]);
  const [first, last] = [0, -1].map((index) => graph.node('Gather', [places, int64(graph, [index])]));
  const end = plus(last!, 1);
  const query = graph.node('Unsqueeze', [places, one]); // [c, 1]
  if (window === undefined) {
    const masked = { start: first!, end };
    const mask = maskWhere(graph, graph.node('LessOrEqual', [placesIn(graph, masked), query]));
    return { open: { start: zero, end: first!, fromFirst: true }, masked: [masked], mask };
  }
  const windowStart = (place: Value): Value => larger(plus(place, 1 - window), zero);
  const openStart = windowStart(last!);
  const openEnd = larger(first!, openStart);
  const masked = [
    { start: windowStart(first!), end: openStart },
    { start: openEnd, end },
  ];
  const parts = masked.map((range) => placesIn(graph, range));
  const key = graph.node('Concat', parts, { attributes: { axis: 0 } });
  const notLater = graph.node('LessOrEqual', [key, query]);
  const inWindow = graph.node('Greater', [key, plus(query, -window)]);
  const mask = maskWhere(graph, graph.node('And', [notLater, inWindow]));
  return { open: { start: openStart, end: openEnd, fromFirst: false }, masked, mask };
}

function placesIn(graph: Graph, { start, end }: TokenRange): Value {
  const scalar = (value: Value): Value => graph.node('Reshape', [value, int64(graph, [], [0])]);
  return graph.node('Range', [scalar(start), scalar(end), int64(graph, [1], [])]);
}

function maskWhere(graph: Graph, visible: Value): Value {
  return graph.node('Where', [visible, float32(graph, 0), float32(graph, Number.NEGATIVE_INFINITY)]);
}
