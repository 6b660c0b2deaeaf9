import { createHash } from 'node:crypto';
import type { StepRecord } from '@scorer/core/schema';
import { z } from 'zod';
import { REJECT_CODES, type Reject, type RejectCode } from './reject.js';

const distributionSchema = z.object({ min: z.number(), median: z.number(), p95: z.number(), max: z.number() });

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
  tokens_per_trace: distributionSchema,
  steps_per_trace: distributionSchema,
});

/** What was made of one input file. Only files with at least one record have statistics. */
export type FileStatistics = z.output<typeof fileStatisticsSchema>;
export type Distribution = z.output<typeof distributionSchema>;

export interface StatisticsCollector {
  readonly tracesOut: number;
  addRecord(record: StepRecord, tokenCount: number): void;
  addReject(reject: Reject): void;
  result(): FileStatistics;
}

/** Counts while records pass by; keeps a few bytes a trace and a question, no text. */
export function collectStatistics(): StatisticsCollector {
  const rejects = new Map<RejectCode, number>();
  const questions = new Map<string, { traces: number; correct: number }>();
  const tokenCounts: number[] = [];
  const stepCounts: number[] = [];

  return {
    get tracesOut() {
      return tokenCounts.length;
    },
    addRecord(record, tokenCount) {
      tokenCounts.push(tokenCount);
      stepCounts.push(record.extracted_position.length);
      const digest = createHash('sha1').update(record.question).digest('base64');
      const question = questions.get(digest) ?? { traces: 0, correct: 0 };
      question.traces += 1;
      question.correct += Number(record.is_correct);
      questions.set(digest, question);
    },
    addReject({ code }) {
      rejects.set(code, (rejects.get(code) ?? 0) + 1);
    },
    result() {
      const byQuestion = [...questions.values()];
      return {
        traces_in: tokenCounts.length + sum([...rejects.values()]),
        traces_out: tokenCounts.length,
        rejects: Object.fromEntries(
          REJECT_CODES.flatMap((code) => (rejects.has(code) ? [[code, rejects.get(code)]] : [])),
        ),
        correct: sum(byQuestion.map(({ correct }) => correct)),
        questions: byQuestion.length,
        correct_share_by_question: sum(byQuestion.map(({ correct, traces }) => correct / traces)) / byQuestion.length,
        tokens: sum(tokenCounts),
        steps: sum(stepCounts),
        tokens_per_trace: distribution(tokenCounts),
        steps_per_trace: distribution(stepCounts),
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

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
