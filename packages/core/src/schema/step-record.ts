import { z } from 'zod';

/** The fields of a step record in the order in which they are written (contract 1). */
export const stepRecordSchema = z
  .object({
    /** The rendered chat prompt, generation prompt included. */
    prompt: z.string(),
    question: z.string(),
    ground_truth: z.string(),
    extracted_answer: z.string(),
    /** The whole response. */
    full_text: z.string(),
    /** Whether the extracted answer equals the ground truth mathematically. */
    is_correct: z.boolean(),
    /** The response up to its first `</think>`. */
    forward_text: z.string(),
    /** `prompt + forward_text`, cut after each step end; the last piece may be a tail without a step end. */
    segmented_text_list: z.array(z.string()),
    /** Index of each step's last token among the tokens of `prompt + forward_text`. */
    extracted_position: z.array(z.number().int().nonnegative()),
    /** A label of each step, 0 … 1 (1 = right), or null where it has none; absent where no step has one. */
    step_labels: z.array(z.number().min(0).max(1).nullable()).optional(),
  })
  .refine(
    ({ step_labels, extracted_position }) => (step_labels ?? extracted_position).length === extracted_position.length,
    {
      path: ['step_labels'],
      message: 'not one for each extracted_position',
    },
  );

export type StepRecord = z.output<typeof stepRecordSchema>;
