import { permutation, randomStream } from '@scorer/core/random';
import type { ScoreTable } from '../scores/score-table.js';

/**
 * Scored traces as they were generated, with tokens counted from the first after the prompt. Trace i of the score table
 * is trace i here; one whose tokens were never counted (refused by preprocessing) has none and is over at the start.
 */
export interface Timelines {
  readonly questionCount: number;
  /** [Q + 1]: question q has the traces traceOffsets[q] ≤ i < traceOffsets[q + 1]. */
  readonly traceOffsets: Uint32Array;
  /** [N]: tokens that the trace generates in all. */
  readonly tokens: Uint32Array;
  /** [N + 1]: trace i has the steps stepOffsets[i] ≤ s < stepOffsets[i + 1]; those inside the prompt are left out. */
  readonly stepOffsets: Uint32Array;
  /** [S]: tokens that the trace has generated when the step ends, at least 1, ascending. */
  readonly stepTokens: Uint32Array;
  /** [S] */
  readonly stepScores: Float64Array;
  /** [S]: mean of the scores of this step and of the trace's earlier ones. */
  readonly runningMeans: Float64Array;
  /** Where the table says how sure the model was; NaN where it does not say of a trace. */
  readonly confidence?:
    | {
        /** [S]: the lowest of the groups that end in the step. */
        readonly stepGroups: Float64Array;
        /** [N]: of the whole trace. */
        readonly lowestGroups: Float64Array;
      }
    | undefined;
  /** [draws][N]: place of the trace among those of its question in a random order. */
  readonly draws: readonly Uint32Array[];
}

/** Fewer traces can be drawn in many ways, of which one alone would be a matter of luck. */
const DRAWS = 16;

/** Where a trace's prompt tokens are not known they count as generated, in what is spent and in what could be. */
export function timelines(table: ScoreTable, seed: number): Timelines {
  const { traceCount, stepPositions } = table;
  const tokens = new Uint32Array(traceCount);
  const stepOffsets = new Uint32Array(traceCount + 1);
  const stepTokens = new Uint32Array(stepPositions.length);
  const stepScores = new Float64Array(stepPositions.length);
  const runningMeans = new Float64Array(stepPositions.length);
  const stepGroups = table.confidence?.stepGroups.slice();
  let kept = 0;
  for (let trace = 0; trace < traceCount; trace++) {
    const prompt = table.promptTokens[trace]! || 0;
    tokens[trace] = Math.max(table.tokens[trace]! - prompt, 0);
    let sum = 0;
    for (let step = table.stepOffsets[trace]!; step < table.stepOffsets[trace + 1]!; step++) {
      if (stepPositions[step]! < prompt) continue;
      stepTokens[kept] = stepPositions[step]! + 1 - prompt;
      stepScores[kept] = table.stepScores[step]!;
      if (stepGroups) stepGroups[kept] = stepGroups[step]!;
      sum += table.stepScores[step]!;
      kept += 1;
      runningMeans[kept - 1] = sum / (kept - stepOffsets[trace]!);
    }
    stepOffsets[trace + 1] = kept;
  }
  return {
    questionCount: table.questionCount,
    traceOffsets: table.traceOffsets,
    tokens,
    stepOffsets,
    stepTokens: stepTokens.subarray(0, kept),
    stepScores: stepScores.subarray(0, kept),
    runningMeans: runningMeans.subarray(0, kept),
    confidence: stepGroups && {
      stepGroups: stepGroups.subarray(0, kept),
      lowestGroups: table.confidence!.whole.lowest_group,
    },
    draws: randomDraws(table, seed),
  };
}

function randomDraws({ traceCount, questionCount, traceOffsets }: ScoreTable, seed: number): Uint32Array[] {
  const random = randomStream(seed, 'order of sampling');
  return Array.from({ length: DRAWS }, () => {
    const places = new Uint32Array(traceCount);
    for (let question = 0; question < questionCount; question++) {
      const first = traceOffsets[question]!;
      places.set(permutation(traceOffsets[question + 1]! - first, random), first);
    }
    return places;
  });
}
