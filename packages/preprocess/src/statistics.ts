import { z } from 'zod';
import type { BatchOutcome, RejectFacts } from './preprocess-batch.js';
import { REJECT_CODES, type RejectCode } from './reject.js';

const distributionSchema = z.object({ min: z.number(), median: z.number(), p95: z.number(), max: z.number() });

const histogramSchema = z.object({
  /** Bin i holds values from i · width, inclusive, to (i + 1) · width. */
  width: z.number(),
  /** Traces in each bin, by label. */
  right: z.array(z.number()),
  wrong: z.array(z.number()),
});

export const fileStatisticsSchema = z.object({
  /** Lines that are not blank. */
  traces_in: z.number(),
  traces_out: z.number(),
  /** Rejected lines by code; codes that did not occur are left out. */
  rejects: z.partialRecord(z.enum(REJECT_CODES), z.number()),
  /** Records with `is_correct`. */
  correct: z.number(),
  /** Different questions among the records. */
  questions: z.number(),
  /** Mean over questions of the share of correct traces. */
  correct_share_by_question: z.number(),
  tokens: z.number(),
  steps: z.number(),
  /** Steps by their own labels, where records have them; right from 0.5 on. */
  step_labels: z.object({ right: z.number(), wrong: z.number(), none: z.number() }).optional(),
  tokens_per_trace: distributionSchema,
  steps_per_trace: distributionSchema,
  tokens_histogram: histogramSchema,
  steps_histogram: histogramSchema,
  /** Questions by their share of correct traces: none, ten bins of a tenth each for what lies between, all. */
  correct_share_histogram: z.array(z.number()),
});

/** What was made of one input file. Only files with at least one record have statistics. */
export type FileStatistics = z.output<typeof fileStatisticsSchema>;
export type Distribution = z.output<typeof distributionSchema>;
export type Histogram = z.output<typeof histogramSchema>;

export interface StatisticsCollector {
  readonly tracesOut: number;
  readonly firstReject: RejectFacts | undefined;
  add(outcome: Pick<BatchOutcome, 'recordFacts' | 'rejectFacts'>): void;
  result(): FileStatistics;
}

/** Counts while batches pass by; keeps a few bytes a trace and a question, no text. */
export function collectStatistics(): StatisticsCollector {
  const rejects = new Map<RejectCode, number>();
  const questions = new Map<string, { traces: number; correct: number }>();
  const tokens: number[] = [];
  const steps: number[] = [];
  const labels: boolean[] = [];
  let stepLabels: { right: number; wrong: number } | undefined;
  let firstReject: RejectFacts | undefined;

  return {
    get tracesOut() {
      return labels.length;
    },
    get firstReject() {
      return firstReject;
    },
    add({ recordFacts, rejectFacts }) {
      firstReject ??= rejectFacts[0];
      for (const { code } of rejectFacts) rejects.set(code, (rejects.get(code) ?? 0) + 1);
      for (const record of recordFacts) {
        tokens.push(record.tokens);
        steps.push(record.steps);
        labels.push(record.is_correct);
        if (record.labels) {
          stepLabels ??= { right: 0, wrong: 0 };
          stepLabels.right += record.labels.right;
          stepLabels.wrong += record.labels.wrong;
        }
        const question = questions.get(record.question) ?? { traces: 0, correct: 0 };
        question.traces += 1;
        question.correct += Number(record.is_correct);
        questions.set(record.question, question);
      }
    },
    result() {
      const byQuestion = [...questions.values()];
      const shares = byQuestion.map(({ correct, traces }) => correct / traces);
      return {
        traces_in: labels.length + sum([...rejects.values()]),
        traces_out: labels.length,
        rejects: Object.fromEntries(
          REJECT_CODES.flatMap((code) => (rejects.has(code) ? [[code, rejects.get(code)]] : [])),
        ),
        correct: sum(byQuestion.map(({ correct }) => correct)),
        questions: byQuestion.length,
        correct_share_by_question: sum(shares) / byQuestion.length,
        tokens: sum(tokens),
        steps: sum(steps),
        ...(stepLabels && { step_labels: { ...stepLabels, none: sum(steps) - stepLabels.right - stepLabels.wrong } }),
        tokens_per_trace: distribution(tokens),
        steps_per_trace: distribution(steps),
        tokens_histogram: histogram(tokens, labels),
        steps_histogram: histogram(steps, labels),
        correct_share_histogram: shareHistogram(shares),
      };
    },
  };
}

/** Quantiles by nearest rank: values that occur. */
function distribution(values: readonly number[]): Distribution {
  const sorted = Float64Array.from(values).sort();
  const quantile = (q: number): number => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!;
  return { min: quantile(0), median: quantile(0.5), p95: quantile(0.95), max: quantile(1) };
}

/** As many bins as a chart has room for. */
const MAX_BINS = 40;

function histogram(values: readonly number[], labels: readonly boolean[]): Histogram {
  const max = values.reduce((a, b) => Math.max(a, b), 0);
  const width = roundWidth((max + 1) / MAX_BINS);
  const bins = Math.floor(max / width) + 1;
  const right = new Array<number>(bins).fill(0);
  const wrong = new Array<number>(bins).fill(0);
  for (const [i, value] of values.entries()) (labels[i] ? right : wrong)[Math.floor(value / width)]! += 1;
  return { width, right, wrong };
}

/** The smallest of 1, 2, 5, 10, 20, 50, … that is not below `least`. */
function roundWidth(least: number): number {
  const power = 10 ** Math.max(Math.floor(Math.log10(least)), 0);
  return [1, 2, 5, 10].map((step) => step * power).find((width) => width >= least)!;
}

const SHARE_BINS = 10;

function shareHistogram(shares: readonly number[]): number[] {
  const counts = new Array<number>(SHARE_BINS + 2).fill(0);
  for (const share of shares) {
    const bin = share === 0 ? 0 : share === 1 ? SHARE_BINS + 1 : 1 + Math.floor(share * SHARE_BINS);
    counts[bin]! += 1;
  }
  return counts;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
