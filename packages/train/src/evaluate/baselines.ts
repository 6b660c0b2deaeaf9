import type { ScoreTable } from '../scores/score-table.js';

/**
 * What a scorer has to beat: scores that need no hidden states, for the traces that the scorer has scored.
 * @returns [N]: NaN where the scorer gave none
 */
export function baselineScores(table: ScoreTable): { length: Float64Array; answerFrequency: Float64Array } {
  const { questionCount, traceCount, traceOffsets, answers, answerTexts, scores, tokens } = table;
  const answerFrequency = new Float64Array(traceCount);
  for (let q = 0; q < questionCount; q++) {
    const [start, end] = [traceOffsets[q]!, traceOffsets[q + 1]!];
    const counts = new Float64Array(answerTexts[q]!.length);
    for (const answer of answers.subarray(start, end)) if (answer >= 0) counts[answer]! += 1;
    for (let i = start; i < end; i++) answerFrequency[i] = (counts[answers[i]!] ?? 0) / (end - start);
  }
  const whereScored = (value: number, i: number): number => (Number.isNaN(scores[i]) ? Number.NaN : value);
  return {
    /** 1 / tokens: the shorter a trace, the better. */
    length: tokens.map((count, i) => whereScored(1 / Math.max(1, count), i)),
    /** The share of the question's traces that give the same answer; 0 for none. */
    answerFrequency: answerFrequency.map(whereScored),
  };
}
