import { type Aggregation, aggregate } from '../scores/aggregate.js';
import type { ScoreTable } from '../scores/score-table.js';

/**
 * The scores of the traces as far as their first steps tell.
 * @param fraction of each trace's steps, above 0, at most 1; rounded up
 * @returns [N]: NaN where there is no step
 */
export function partialScores(table: ScoreTable, aggregation: Aggregation, fraction = 1): Float64Array {
  const { traceCount, stepOffsets, stepScores } = table;
  const scores = new Float64Array(traceCount);
  for (let i = 0; i < traceCount; i++) {
    const [start, end] = [stepOffsets[i]!, stepOffsets[i + 1]!];
    scores[i] = aggregate(stepScores, aggregation, start, start + Math.ceil(fraction * (end - start)));
  }
  return scores;
}
