import { basename } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import type { Shard } from '@scorer/core/shards';

/**
 * Refuses scores among which there is NaN, by the trace and the step that has it.
 * @param scores [steps]
 * @param rows [steps]: the row of each in the folder
 * @throws ScorerError `SCORE_NOT_FINITE`
 */
export function checkScores(scores: Float32Array, rows: Uint32Array, { shards, rowOffsets }: Folder): void {
  const bad = scores.findIndex(Number.isNaN);
  if (bad === -1) return;
  const k = lastNotAbove(rowOffsets, rows[bad]!);
  const { path, stepOffsets, traceIndex } = shards[k]!;
  const step = rows[bad]! - rowOffsets[k]!;
  const trace = lastNotAbove(stepOffsets, step);
  throw new ScorerError({
    code: 'SCORE_NOT_FINITE',
    what: `the score of step ${step - stepOffsets[trace]! + 1} of trace ${traceIndex[trace]} is not a number`,
    where: path,
    hint: `if scorer-shards verify finds a value in ${basename(path)} that is not finite, extract it again; else the scorer's weights are broken`,
  });
}

interface Folder {
  readonly shards: readonly Pick<Shard, 'path' | 'stepOffsets' | 'traceIndex'>[];
  /** [shards + 1]: the rows of each. */
  readonly rowOffsets: ArrayLike<number>;
}

/** The last of what begins at ascending offsets that holds a number: those before it may be empty. */
function lastNotAbove(offsets: ArrayLike<number>, value: number): number {
  let i = 0;
  while (offsets[i + 1]! <= value) i++;
  return i;
}
