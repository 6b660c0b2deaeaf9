import { z } from 'zod';

/** An answer as text; data sets often hold plain numbers. */
const answer = z.union([z.string(), z.number().transform(String)]);

/** One raw reasoning trace, a line of the input of `scorer-preprocess`. Other fields may stand beside these. */
export const traceSchema = z.object({
  question: z.string(),
  /** The model's whole output, `<think>…</think>` and the text after it. */
  response: z.string(),
  ground_truth: answer,
  /** The answer that the model gave; null or absent where none could be found. */
  extracted_answer: answer.nullish().transform((value) => value ?? null),
});

export type Trace = z.output<typeof traceSchema>;
