import { z } from 'zod';
import { type DataSide, type TrainingData, tracesOfSet } from './data/training-data.js';
import { averagePrecision, brierScore, calibrationError, rocAuc, type Scores, withinQuestionAuc } from './metrics.js';
import type { ValidationScores } from './result.js';

/** AUC over all steps together, and the mean of those within each question that has right and wrong ones (or null). */
const aucsSchema = z.object({ pooled: z.number(), within_question: z.number().nullable() });
type Aucs = z.output<typeof aucsSchema>;

/**
 * How good the kept weights are on the validation steps, beside what can be guessed without any hidden state. Pooled
 * figures mostly say how well easy questions are told from hard ones; those within questions tell right traces from
 * wrong ones of the same question, which is what votes need.
 */
export const judgementSchema = z.object({
  auc_within_question: z.number().nullable(),
  /** Validation questions that have steps of right and of wrong traces. */
  questions_with_both: z.number(),
  average_precision: z.number(),
  brier: z.number(),
  calibration_error: z.number(),
  /** Of the mean score of a trace's validation steps. */
  trace_auc: aucsSchema,
  /** The same of the first quarter, half, … of its steps. */
  trace_auc_by_fraction: z.record(z.string(), aucsSchema),
  /** Of steps again, by what stands in each one's place. */
  baselines: z.object({
    /** Tokens of the whole trace. */
    trace_length: aucsSchema,
    /** Tokens before the step's end. */
    step_position: aucsSchema,
    /** Characters of the question. */
    question_length: aucsSchema,
    /** Share of right training steps of the question; where no question is shared it would be the same for all. */
    question_mean: aucsSchema.optional(),
  }),
});

export type Judgement = z.output<typeof judgementSchema>;

const FRACTIONS = [0.25, 0.5, 0.75, 1];

export async function judge(
  { scores, labels }: ValidationScores,
  { train, validation, split, questionTexts }: Pick<TrainingData, 'train' | 'validation' | 'split' | 'questionTexts'>,
): Promise<Judgement> {
  const traces = tracesOfSet(validation.set, validation.steps);
  const questions = traces.map((trace) => validation.steps.questions[trace]!);
  const aucs = (values: Scores): Aucs => ({
    pooled: rocAuc(values, labels),
    within_question: withinQuestionAuc(values, labels, questions).value,
  });
  const known = guessesOf(train, questionTexts);
  const unknown = guessesOf(validation, questionTexts);
  const baseline = async (name: keyof Guesses): Promise<Aucs> =>
    aucs(await valuesOf(validation, unknown[name], await direction(train, known[name])));

  const within = withinQuestionAuc(scores, labels, questions);
  return {
    auc_within_question: within.value,
    questions_with_both: within.questions,
    average_precision: averagePrecision(scores, labels),
    brier: brierScore(scores, labels),
    calibration_error: calibrationError(scores, labels),
    trace_auc: traceAucs(scores, validation, traces, 1),
    trace_auc_by_fraction: Object.fromEntries(
      FRACTIONS.map((fraction) => [String(fraction), traceAucs(scores, validation, traces, fraction)]),
    ),
    baselines: {
      trace_length: await baseline('trace_length'),
      step_position: await baseline('step_position'),
      question_length: await baseline('question_length'),
      ...(split.sharedQuestions > 0 && {
        question_mean: aucs(Float32Array.from(questions, await questionMean(train))),
      }),
    },
  };
}

/** What the scorer does not beat, in words. */
export function unbeaten(auc: number, { auc_within_question: within, baselines }: Judgement): string[] {
  return Object.entries(baselines).flatMap(([key, baseline]) => {
    const name = key.replace('_', ' ');
    const { pooled, within_question: inQuestions } = baseline ?? { pooled: 0, within_question: null };
    return [
      ...(auc <= pooled ? [`${name}, AUC ${pooled.toFixed(4)}`] : []),
      ...(within !== null && inQuestions !== null && within <= inQuestions
        ? [`${name}, AUC ${inQuestions.toFixed(4)} within questions`]
        : []),
    ];
  });
}

/** The AUCs of the scorer and of each baseline on the same steps, with their names. */
export function comparison(auc: number, judgement: Judgement): { name: string; aucs: Aucs }[] {
  const baselines = Object.entries(judgement.baselines).flatMap(([key, aucs]) =>
    aucs ? [{ name: `${key.replace('_', ' ')} alone`, aucs }] : [],
  );
  return [
    { name: 'scorer', aucs: { pooled: auc, within_question: judgement.auc_within_question } },
    { name: 'scorer, mean of a trace', aucs: judgement.trace_auc },
    ...baselines,
  ];
}

/** AUCs of traces by the mean score of the first ⌈fraction · T⌉ of their T validation steps. */
function traceAucs(scores: Float32Array, { steps }: DataSide, traces: Uint32Array, fraction: number): Aucs {
  const means: number[] = [];
  const labels: number[] = [];
  const questions: number[] = [];
  for (let from = 0; from < traces.length; ) {
    const trace = traces[from]!;
    let end = from + 1;
    while (traces[end] === trace) end++;
    const first = scores.subarray(from, from + Math.ceil(fraction * (end - from)));
    means.push(first.reduce((sum, score) => sum + score, 0) / first.length);
    labels.push(steps.labels[trace]!);
    questions.push(steps.questions[trace]!);
    from = end;
  }
  const traceScores = Float64Array.from(means);
  const traceLabels = Uint8Array.from(labels);
  return {
    pooled: rocAuc(traceScores, traceLabels),
    within_question: withinQuestionAuc(traceScores, traceLabels, Uint32Array.from(questions)).value,
  };
}

/** A number for a step from what is no property of the reasoning. */
type Guess = (trace: number, stepPosition: number) => number;

interface Guesses {
  readonly trace_length: Guess;
  readonly step_position: Guess;
  readonly question_length: Guess;
}

function guessesOf({ dataset, steps }: DataSide, questionTexts: readonly string[]): Guesses {
  const tokenCounts = Float64Array.from(dataset.shards.flatMap((shard) => [...shard.tokenCounts]));
  return {
    trace_length: (trace) => tokenCounts[steps.traces[trace]!]!,
    step_position: (_, stepPosition) => stepPosition,
    question_length: (trace) => questionTexts[steps.questions[trace]!]!.length,
  };
}

/** Whether more of it speaks for a right answer (1) or against one (−1): the sign of the covariance with the label. */
async function direction(side: DataSide, guess: Guess): Promise<1 | -1> {
  const { labels } = side.set;
  let sum = 0;
  let sumOfRight = 0;
  let right = 0;
  await forEachStep(side, (i, trace, position) => {
    const value = guess(trace, position);
    sum += value;
    if (labels[i] === 0) return;
    sumOfRight += value;
    right++;
  });
  return sumOfRight * labels.length < sum * right ? -1 : 1;
}

async function valuesOf(side: DataSide, guess: Guess, sign: 1 | -1): Promise<Float32Array> {
  const values = new Float32Array(side.set.rows.length);
  await forEachStep(side, (i, trace, position) => {
    values[i] = sign * guess(trace, position);
  });
  return values;
}

/** Calls `visit` for each step of the set, in order, with its place, its trace's place and its end's token index. */
async function forEachStep(
  { dataset, steps, set }: DataSide,
  visit: (i: number, trace: number, stepPosition: number) => void,
): Promise<void> {
  const { rows } = set;
  let trace = 0;
  let i = 0;
  for (const [k, shard] of dataset.shards.entries()) {
    const positions = await shard.stepPositions();
    const [start, end] = [dataset.rowOffsets[k]!, dataset.rowOffsets[k + 1]!];
    for (; i < rows.length && rows[i]! < end; i++) {
      while (steps.rows[steps.offsets[trace + 1]! - 1]! < rows[i]!) trace++;
      visit(i, trace, positions[rows[i]! - start]!);
    }
  }
}

/** For a question the share of right ones among its training steps; of all of them where it has none. */
async function questionMean(train: DataSide): Promise<(question: number) => number> {
  const { labels } = train.set;
  const counts = new Map<number, { right: number; all: number }>();
  let right = 0;
  await forEachStep(train, (i, trace) => {
    const question = train.steps.questions[trace]!;
    const count = counts.get(question) ?? { right: 0, all: 0 };
    counts.set(question, { right: count.right + labels[i]!, all: count.all + 1 });
    right += labels[i]!;
  });
  return (question) => {
    const count = counts.get(question);
    return count ? count.right / count.all : right / labels.length;
  };
}
