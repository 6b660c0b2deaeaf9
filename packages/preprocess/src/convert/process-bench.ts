import { z } from 'zod';
import { rejectOf } from '../trace-line.js';
import type { RowOutcome } from './labelled-steps.js';
import { statedAnswer } from './stated-answer.js';

/** `label` of a solution without a wrong step. */
const NO_ERROR = -1;

const row = z.object({
  problem: z.string(),
  steps: z.array(z.string()),
  label: z.number().int().min(NO_ERROR),
  final_answer_correct: z.boolean().nullish(),
});

/**
 * A row of ProcessBench (arXiv 2412.06559, Qwen/ProcessBench): the index of the first wrong step. Steps behind it were
 * not judged and have no label.
 */
export function readProcessBench(value: Record<string, unknown>): RowOutcome {
  const parsed = row.safeParse(value);
  if (!parsed.success) return { reject: rejectOf(parsed.error, value) };
  const { problem, steps: texts, label: firstError, final_answer_correct } = parsed.data;
  if (firstError >= texts.length) {
    const reason = `label is ${firstError}, the solution has ${texts.length} steps`;
    return { reject: { code: 'LABELS_DISAGREE', reason } };
  }
  const steps = texts.map((text, i) => ({
    text,
    label: firstError === NO_ERROR || i < firstError ? 1 : i === firstError ? 0 : null,
  }));
  return {
    solutions: [
      {
        question: problem,
        steps,
        ground_truth: '',
        extracted_answer: statedAnswer(texts.at(-1) ?? '') ?? '',
        is_correct: final_answer_correct ?? firstError === NO_ERROR,
      },
    ],
  };
}
