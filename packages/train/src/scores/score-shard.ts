import { basename } from 'node:path';
import type { Regions } from '@scorer/core/schema';
import { NO_STEP_LABEL, type Shard, TEXT_NAMES, type TextName } from '@scorer/core/shards';
import { checkScores } from '../data/check-scores.js';
import type { FeatureSource } from '../data/features.js';
import type { FeatureRows } from '../engine/engine.js';
import type { Scorer } from '../scorer.js';
import { type Aggregation, aggregate } from './aggregate.js';
import { type ConfidenceWindows, type TraceConfidence, traceConfidence } from './confidence.js';
import { offsetsOf } from './offsets.js';
import { estimatePromptTokens } from './prompt-tokens.js';
import type { ScoredTrace } from './scored-trace.js';

/** What scores the traces of a folder, and how. */
export interface Scoring {
  readonly scorer: Pick<Scorer, 'score'>;
  readonly source: FeatureSource;
  readonly regions: Regions;
  readonly aggregation: Aggregation;
  readonly windows: ConfidenceWindows;
  /** Whether a trace is to be scored. */
  isWanted(shard: Shard, trace: number): boolean;
}

/**
 * A span is what is scored at a time: no more traces and, but for a single one, no more steps. Little is to be done
 * again after a stop, and reads are long. The arithmetic of a row may depend on the rows beside it, so another size
 * would give other last digits.
 */
const SPAN_TRACES = 64;
const SPAN_STEPS = 16_384;

/** What one call of the scorer takes of rows. */
const CALL_BYTES = 16 * 1024 ** 2;

const REASONING = 1;

/**
 * The wanted traces of a shard with their scores, in its order, span by span.
 * @param firstRow number of the shard's first row in the folder
 * @param skip of the wanted traces, so many are passed over
 * @throws ScorerError `SCORE_NOT_FINITE`
 */
export async function* scoreShard(
  shard: Shard,
  scoring: Scoring,
  { firstRow, skip }: { firstRow: number; skip: number },
): AsyncGenerator<ScoredTrace[], void, undefined> {
  const allPositions = await shard.stepPositions();
  const allRegions = await shard.stepRegions();
  const allLabels = await shard.stepLabels();
  const scoreRows = rowScorer(scoring);
  let toSkip = skip;
  for (const { first, end } of spansOf(shard)) {
    const traces = range(first, end).filter((trace) => scoring.isWanted(shard, trace));
    if (traces.length <= toSkip) {
      toSkip -= traces.length;
      continue;
    }
    const isScored = (step: number): boolean => scoring.regions === 'all' || allRegions[step] === REASONING;
    const steps = traces.map((trace) => stepsOf(shard, trace).filter(isScored));
    const offsets = offsetsOf(steps.map(({ length }) => length));
    const rows = Uint32Array.from(steps.flat(), (step) => firstRow + step);
    const scores = await scoreRows(rows);
    checkScores(scores, rows, { shards: [shard], rowOffsets: [firstRow, firstRow + shard.stepCount] });
    const stepPositions = steps.map((own) => own.map((step) => allPositions[step]!));
    const confidences = await readConfidences(shard, { traces, stepPositions }, scoring.windows);
    const texts = await readTexts(shard, first, end);

    const scored = traces.map((trace, i): ScoredTrace => {
      const { question, ground_truth, extracted_answer, ...longTexts } = texts(trace);
      const [from, to] = [shard.stepOffsets[trace], shard.stepOffsets[trace + 1]];
      const [positions, regions] = [allPositions.subarray(from, to), allRegions.subarray(from, to)];
      const tokens = shard.tokenCounts[trace]!;
      const { promptTokens = estimatePromptTokens(longTexts, tokens, { positions, regions }), confidence } =
        confidences[i]!;
      const stepScores = Array.from(scores.subarray(offsets[i], offsets[i + 1]), shortest);
      return {
        shard: basename(shard.path),
        trace_index: shard.traceIndex[trace]!,
        question,
        ground_truth,
        extracted_answer,
        is_correct: shard.labels[trace] === 1,
        tokens,
        ...(promptTokens !== undefined && { prompt_tokens: promptTokens }),
        step_positions: stepPositions[i]!,
        step_scores: stepScores,
        ...(allLabels && { step_labels: steps[i]!.map((step) => labelIn(allLabels, step)) }),
        score: stepScores.length > 0 ? aggregate(stepScores, scoring.aggregation) : null,
        ...(confidence && { confidence }),
      };
    });
    yield scored.slice(toSkip);
    toSkip = 0;
  }
}

function* spansOf({ traceCount, stepOffsets }: Shard): Generator<{ first: number; end: number }> {
  for (let first = 0, end = 0; first < traceCount; first = end) {
    const lastRow = stepOffsets[first]! + SPAN_STEPS;
    end = first + 1;
    while (end < traceCount && end - first < SPAN_TRACES && stepOffsets[end + 1]! <= lastRow) end++;
    yield { first, end };
  }
}

/** Scores rows by their numbers in the folder; what holds them is used again from call to call. */
function rowScorer({ scorer, source }: Scoring): (rows: Uint32Array) => Promise<Float32Array> {
  const callRows = Math.max(1, Math.floor(CALL_BYTES / source.rowBytes));
  let spare: FeatureRows | undefined;
  return async (rows) => {
    const scores = new Float32Array(rows.length);
    for (let from = 0; from < rows.length; from += callRows) {
      spare = await source.read(rows.subarray(from, from + callRows), spare);
      scores.set(await scorer.score(spare), from);
    }
    return scores;
  };
}

/** Tokens of the prompt and how sure the model was, of each of the traces; nothing where the shard does not say. */
async function readConfidences(
  shard: Shard,
  { traces, stepPositions }: { traces: readonly number[]; stepPositions: readonly number[][] },
  windows: ConfidenceWindows,
): Promise<{ promptTokens?: number; confidence?: TraceConfidence | undefined }[]> {
  const confidences = [];
  for (const [i, trace] of traces.entries()) {
    const tokens = await shard.confidence(trace);
    if (!tokens) {
      confidences.push({});
      continue;
    }
    const promptTokens = shard.tokenCounts[trace]! - tokens.confidences.length;
    const stepEnds = stepPositions[i]!.map((position) => position + 1 - promptTokens);
    confidences.push({ promptTokens, confidence: traceConfidence(tokens, stepEnds, windows) });
  }
  return confidences;
}

async function readTexts(shard: Shard, first: number, end: number) {
  const texts = new Map<TextName, string[]>();
  for (const name of TEXT_NAMES) texts.set(name, await shard.text(name, first, end));
  return (trace: number) =>
    Object.fromEntries(TEXT_NAMES.map((name) => [name, texts.get(name)![trace - first]!])) as Record<TextName, string>;
}

/** The steps of a trace, numbered as in the shard. */
function stepsOf({ stepOffsets }: Shard, trace: number): number[] {
  return range(stepOffsets[trace]!, stepOffsets[trace + 1]!);
}

function labelIn(labels: Float32Array, step: number): number | null {
  return labels[step] === NO_STEP_LABEL ? null : shortest(labels[step]!);
}

/** Nine digits tell a float32 from all others. */
function shortest(score: number): number {
  return Number(score.toPrecision(9));
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}
