import type { Shard, ShardFolder } from '@scorer/core/shards';
import type { ComparedRow, OffRow } from './compare-trace.js';
import { distance } from './distance.js';
import { type FoundRow, findRows } from './find-row.js';
import { CLEARLY_NEARER, type Finding } from './hypotheses.js';

/** Rows that have something to do with each other are nearer than this. */
const RELATED = 0.5;

/** Traces of a layer whose states are searched for among all rows: each costs a pass of arithmetic over the layer. */
const MAX_SEARCHED = 64;

const FOREIGN: Finding = { kind: 'trace', detail: 'of another trace' };
const UNKNOWN: Finding = { kind: 'unknown', detail: 'no states of this model at this text' };

/**
 * Says what rows are that are not what they should be. First what their own trace explains as well as arithmetic allows;
 * then whether the trace's states stand at another one; then the best that is left.
 * @param noise how far off arithmetic alone may be
 */
export async function nameFindings(
  folder: ShardFolder,
  rows: readonly ComparedRow[],
  noise: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const row of rows) {
    const explanation = row.offRow?.explanation;
    if (explanation && explanation.distance <= noise) row.finding = explanation.finding;
    // The embeddings of a model in 16 bits have no more of them.
    else if (row.roundedTo && row.layer > 0) {
      row.finding = { kind: 'precision', detail: `rounded to ${row.roundedTo} before it was stored` };
    }
  }
  const open = rows.filter((row): row is OpenRow => !row.finding && row.distance > noise && row.offRow !== undefined);
  const foreign = await foreignTraces(folder, open, signal);
  for (const row of open) {
    const best = row.offRow.explanation?.finding ?? (row.distance > RELATED ? UNKNOWN : undefined);
    row.finding = foreign.has(traceKey(row)) ? FOREIGN : best;
  }
}

type OpenRow = ComparedRow & { readonly offRow: OffRow };

function traceKey({ shard, trace }: ComparedRow): string {
  return `${shard.path} ${trace}`;
}

/** Traces whose own states stand at a trace of another text, or that have what was computed for such a one. */
async function foreignTraces(
  folder: ShardFolder,
  open: readonly OpenRow[],
  signal: AbortSignal | undefined,
): Promise<Set<string>> {
  const foreign = new Set<string>();
  for (const layer of folder.layers) {
    // The last row of a trace depends on all of it: earlier ones may be the same in other samples of the question.
    const last = new Map(open.filter((row) => row.layer === layer).map((row) => [traceKey(row), row]));
    const searched = [...last.values()].slice(0, MAX_SEARCHED);
    if (searched.length === 0) continue;
    const wanted = searched.map(({ offRow, distance }) => ({ expected: offRow.expected, within: nearer(distance) }));
    const found = await findRows(folder, layer, wanted, signal);
    for (const [i, places] of found.entries()) {
      const row = searched[i]!;
      for (const place of places) if (await hasOtherTokens(place, row.offRow.tokens)) foreign.add(traceKey(row));
    }
    for (const row of searched) if (searched.some((other) => isRowOf(row, other))) foreign.add(traceKey(row));
  }
  return foreign;
}

function nearer(claimed: number): number {
  return Math.min(CLEARLY_NEARER * claimed, RELATED);
}

/** Whether the trace of a stored row is another text up to there: equal tokens have equal states wherever they stand. */
async function hasOtherTokens({ shard, row }: FoundRow, tokens: Int32Array): Promise<boolean> {
  const ids = await shard.inputIds(traceOfRow(shard, row));
  return tokens.some((token, i) => token !== ids[i]);
}

/** Whether a stored row is what was computed for a row of another text. */
function isRowOf({ offRow: { stored, tokens }, distance: claimed }: OpenRow, { offRow: other }: OpenRow): boolean {
  const isSameText = other.tokens.length === tokens.length && other.tokens.every((token, i) => token === tokens[i]);
  return !isSameText && distance(stored, other.expected) < nearer(claimed);
}

function traceOfRow({ stepOffsets, traceCount }: Shard, row: number): number {
  let trace = 0;
  while (trace < traceCount && stepOffsets[trace + 1]! <= row) trace += 1;
  return trace;
}
