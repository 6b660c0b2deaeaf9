/** What a page carries for its trace viewer: an overview, read when the page opens, and blocks of traces, read when needed. */
export interface TraceOverview {
  readonly questions: readonly { readonly text: string; readonly truth: string }[];
  /** The traces of a question are neighbours. */
  readonly traces: readonly TraceSummary[];
  /** Block b holds the traces blockStarts[b] ≤ i < blockStarts[b + 1]. */
  readonly blockStarts: readonly number[];
  /** Step scores that get the full colour of wrong, none, and the full colour of right. */
  readonly scale: readonly [low: number, middle: number, high: number];
}

export interface TraceSummary {
  readonly question: number;
  /** The shard and the trace's number in the file that it was made of, from 0. */
  readonly source: string;
  readonly answer: string | null;
  readonly right: boolean;
  readonly score: number | null;
  readonly tokens: number;
}

export interface TraceDetail {
  readonly scores: readonly number[];
  /** The text in order, cut where steps end; `step` counts from 0 and is null for text that has no score of its own. */
  readonly pieces: readonly (readonly [text: string, step: number | null])[];
}
