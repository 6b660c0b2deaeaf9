import type { OnProgress } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { groupAnswers } from './answer-groups.js';
import { type ConfidenceColumns, collectConfidences } from './confidence-columns.js';
import { growingArray } from './growing-array.js';
import { offsetsOf } from './offsets.js';
import { readScoredTraces, type ScoredTrace } from './scored-trace.js';
import { collectStepLabels, type StepLabelColumns } from './step-label-columns.js';

/**
 * Scored traces grouped by question: N traces of Q questions with S steps in all. Questions stand in the order in which
 * they first occur, the traces of each in the order of the file.
 */
export interface ScoreTable {
  readonly questionCount: number;
  readonly traceCount: number;
  /** [Q] */
  readonly questions: readonly string[];
  /** [Q], that of the question's first trace. */
  readonly groundTruths: readonly string[];
  /** [Q + 1]: question q has the traces traceOffsets[q] ≤ i < traceOffsets[q + 1]. */
  readonly traceOffsets: Uint32Array;
  /** [N]: 1 = the trace's answer is right. */
  readonly labels: Uint8Array;
  /** [N]: number of the trace's answer among those to its question, from 0; equal answers have equal numbers, and
   * -1 stands for none. */
  readonly answers: Int32Array;
  /** [Q][answers to the question]: the most frequent spelling of each. */
  readonly answerTexts: readonly (readonly string[])[];
  /** [N]; NaN where the trace has none. */
  readonly scores: Float64Array;
  /** [N]: tokens of prompt and reasoning. */
  readonly tokens: Float64Array;
  /** [N]: of these, the prompt's; NaN where the file does not say. */
  readonly promptTokens: Float64Array;
  /** [N + 1]: trace i has the steps stepOffsets[i] ≤ s < stepOffsets[i + 1]. */
  readonly stepOffsets: Uint32Array;
  /** [S]: token index of each step end. */
  readonly stepPositions: Int32Array;
  /** [S] */
  readonly stepScores: Float64Array;
  /** Where the file says how sure the model was. */
  readonly confidence?: ConfidenceColumns | undefined;
  /** Where the file says how right steps are. */
  readonly stepLabels?: StepLabelColumns | undefined;
}

/**
 * Reads scores.jsonl (also .gz and .zst, `-` for stdin) into a table: 12 bytes a step and about 100 a trace, with
 * confidences 20 and about 260.
 * @throws ScorerError `NO_TRACES`, the codes of `readScoredTraces`
 */
export async function loadScoreTable(
  path: string,
  { signal, onProgress }: { signal?: AbortSignal | undefined; onProgress?: OnProgress | undefined } = {},
): Promise<ScoreTable> {
  const collector = collectTraces();
  let done = 0;
  for await (const trace of readScoredTraces(path, { signal })) {
    collector.add(trace);
    done += 1;
    if (done % PROGRESS_INTERVAL === 0) onProgress?.({ stage: 'reading scores', done, unit: 'traces' });
  }
  if (done === 0) {
    const hint = 'make it with scorer-train score';
    throw new ScorerError({ code: 'NO_TRACES', what: 'the file holds no scored trace', where: path, hint });
  }
  return collector.table();
}

/** The table of traces that are in memory. */
export function scoreTable(traces: Iterable<ScoredTrace>): ScoreTable {
  const collector = collectTraces();
  for (const trace of traces) collector.add(trace);
  return collector.table();
}

const PROGRESS_INTERVAL = 1000;

/** A question while its traces come in, each in the place that it has in the file. */
interface Question {
  readonly groundTruth: string;
  readonly traces: number[];
  /** Number of each spelling of an answer, and how often it occurs. */
  readonly spellings: Map<string, { readonly number: number; count: number }>;
}

function collectTraces() {
  const questions = new Map<string, Question>();
  const spellings = growingArray(Int32Array);
  const labels = growingArray(Int32Array);
  const scores = growingArray(Float64Array);
  const tokens = growingArray(Float64Array);
  const promptTokens = growingArray(Float64Array);
  const stepCounts = growingArray(Int32Array);
  const stepPositions = growingArray(Int32Array);
  const stepScores = growingArray(Float64Array);
  const confidences = collectConfidences();
  const stepLabels = collectStepLabels();

  function add(trace: ScoredTrace): void {
    let question = questions.get(trace.question);
    if (!question) {
      question = { groundTruth: trace.ground_truth, traces: [], spellings: new Map() };
      questions.set(trace.question, question);
    }
    question.traces.push(labels.length);
    spellings.append([trace.extracted_answer === null ? NO_ANSWER : spell(question, trace.extracted_answer)]);
    labels.append([Number(trace.is_correct)]);
    scores.append([trace.score ?? Number.NaN]);
    tokens.append([trace.tokens]);
    promptTokens.append([trace.prompt_tokens ?? Number.NaN]);
    stepCounts.append([trace.step_scores.length]);
    stepPositions.append(trace.step_positions);
    stepScores.append(trace.step_scores);
    confidences.add(trace.confidence, trace.step_scores.length);
    stepLabels.add(trace);
  }

  function table(): ScoreTable {
    // Place in the table → place in the file.
    const order = Uint32Array.from([...questions.values()].flatMap(({ traces }) => traces));
    const starts = offsetsOf(stepCounts.view());
    const stepOffsets = offsetsOf(reordered(stepCounts.view(), order));
    const reorderSteps = <Values extends Int32Array | Float64Array>(values: Values): Values =>
      reorderedRuns(values, { starts, order, stepOffsets });
    const grouped = [...questions.values()].map(groupSpellings);
    const answers = reordered(spellings.view(), order);
    const traceOffsets = offsetsOf(grouped.map(({ traceCount }) => traceCount));
    for (const [q, { answerOf }] of grouped.entries()) {
      for (let i = traceOffsets[q]!; i < traceOffsets[q + 1]!; i++) {
        if (answers[i] !== NO_ANSWER) answers[i] = answerOf[answers[i]!]!;
      }
    }
    return {
      questionCount: questions.size,
      traceCount: order.length,
      questions: [...questions.keys()],
      groundTruths: [...questions.values()].map(({ groundTruth }) => groundTruth),
      traceOffsets,
      labels: Uint8Array.from(reordered(labels.view(), order)),
      answers,
      answerTexts: grouped.map(({ texts }) => texts),
      scores: reordered(scores.view(), order),
      tokens: reordered(tokens.view(), order),
      promptTokens: reordered(promptTokens.view(), order),
      stepOffsets,
      stepPositions: reorderSteps(stepPositions.view()),
      stepScores: reorderSteps(stepScores.view()),
      confidence: confidences.columns(order, reorderSteps),
      stepLabels: stepLabels.columns(order, reorderSteps),
    };
  }

  return { add, table };
}

const NO_ANSWER = -1;

/** The number of a spelling among those to its question. */
function spell({ spellings }: Question, text: string): number {
  const known = spellings.get(text) ?? { number: spellings.size, count: 0 };
  known.count += 1;
  spellings.set(text, known);
  return known.number;
}

/** The answers behind the spellings, and which of them each spelling is. */
function groupSpellings({ traces, spellings }: Question) {
  const groups = groupAnswers(new Map([...spellings].map(([text, { count }]) => [text, count])));
  const answerOf = new Int32Array(spellings.size);
  for (const [answer, group] of groups.entries()) {
    for (const text of group) answerOf[spellings.get(text)!.number] = answer;
  }
  return { traceCount: traces.length, answerOf, texts: groups.map(([first]) => first!) };
}

function reordered<Values extends Int32Array | Float64Array>(values: Values, order: Uint32Array): Values {
  return values.map((_, i) => values[order[i]!]!) as Values;
}

/** As `reordered`, for the steps of the traces. */
function reorderedRuns<Values extends Int32Array | Float64Array>(
  values: Values,
  { starts, order, stepOffsets }: { starts: Uint32Array; order: Uint32Array; stepOffsets: Uint32Array },
): Values {
  const result = values.slice() as Values;
  for (const [i, trace] of order.entries()) {
    result.set(values.subarray(starts[trace]!, starts[trace + 1]!), stepOffsets[i]!);
  }
  return result;
}
