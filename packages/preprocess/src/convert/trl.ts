import { z } from 'zod';
import { rejectOf } from '../trace-line.js';
import { allRight, type RowOutcome } from './labelled-steps.js';
import { statedAnswer } from './stated-answer.js';

const row = z.object({
  prompt: z.string(),
  completions: z.array(z.string()),
  labels: z.array(
    z.union([z.boolean().transform(Number), z.number().min(0).max(1)], 'neither a boolean nor 0 … 1').nullable(),
  ),
});

/** A row of TRL's stepwise supervision format, as its PRMTrainer takes it; labels may be soft. */
export function readTrl(value: Record<string, unknown>): RowOutcome {
  const parsed = row.safeParse(value);
  if (!parsed.success) return { reject: rejectOf(parsed.error, value) };
  const { prompt, completions, labels } = parsed.data;
  if (labels.length !== completions.length) {
    const reason = `${labels.length} labels for ${completions.length} completions`;
    return { reject: { code: 'LABELS_DISAGREE', reason } };
  }
  const steps = completions.map((text, i) => ({ text, label: labels[i]! }));
  const extracted_answer = statedAnswer(completions.at(-1) ?? '') ?? '';
  return { solutions: [{ question: prompt, steps, ground_truth: '', extracted_answer, is_correct: allRight(steps) }] };
}
