import { ScorerError } from '@scorer/core/errors';
import { readJsonl } from '@scorer/core/jsonl';
import { z } from 'zod';
import { traceConfidenceSchema } from './confidence.js';

const count = z.number().int().nonnegative();

/** A trace with its scores: a line of scores.jsonl, in the order in which its fields are written. */
export const scoredTraceSchema = z
  .object({
    /** Base name of the shard; of a trace that preprocessing refused, of the file that lists it. */
    shard: z.string(),
    /** 0-based line of the step-record file; of a refused trace, of the raw file. */
    trace_index: count,
    question: z.string(),
    ground_truth: z.string(),
    /** Null where the trace gave none. */
    extracted_answer: z.string().nullable(),
    is_correct: z.boolean(),
    /** Tokens of the prompt and the reasoning; 0 where they were never counted. */
    tokens: count,
    /** Of these, the prompt's: estimated from the lengths of the texts where tokens have no confidence. */
    prompt_tokens: count.optional(),
    /** [T] token index of each step end, ascending. */
    step_positions: z.array(count),
    /** [T] probability at each step end that the trace ends right. */
    step_scores: z.array(z.number()),
    /** [T] how right each of these steps is, 0 … 1, or null; where the shard has labels of steps. */
    step_labels: z.array(z.number().min(0).max(1).nullable()).optional(),
    /** One score for the whole trace; null where it has no step. */
    score: z.number().nullable(),
    /** Where the shard has the confidence of the trace's tokens. */
    confidence: traceConfidenceSchema.optional(),
  })
  .superRefine(({ step_positions, step_scores, step_labels, confidence }, context) => {
    const refuse = (message: string): void => context.addIssue({ code: 'custom', path: ['step_positions'], message });
    if (step_positions.length !== step_scores.length) {
      refuse(`${step_positions.length} positions for ${step_scores.length} step scores`);
    }
    if (step_labels && step_labels.length !== step_scores.length) {
      const message = `${step_labels.length} labels for ${step_scores.length} step scores`;
      context.addIssue({ code: 'custom', path: ['step_labels'], message });
    }
    for (const name of ['steps', 'step_groups'] as const) {
      const count = confidence?.[name]?.length ?? step_scores.length;
      if (count === step_scores.length) continue;
      const message = `${count} steps have one, ${step_scores.length} a score`;
      context.addIssue({ code: 'custom', path: ['confidence', name], message });
    }
    for (let step = 1; step < step_positions.length; step++) {
      if (step_positions[step]! <= step_positions[step - 1]!) return refuse('they do not ascend');
    }
  });

export type ScoredTrace = z.output<typeof scoredTraceSchema>;

/**
 * The traces of a scores.jsonl file (also .gz and .zst, `-` for stdin), in its order; fields that are not of a scored
 * trace are passed over.
 * @throws ScorerError `SCORED_TRACE_INVALID` with the line, `NOT_JSON`, `FILE_NOT_FOUND` and the others of `readJsonl`
 */
export async function* readScoredTraces(
  path: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<ScoredTrace, void, undefined> {
  for await (const record of readJsonl(path, { signal })) {
    if (record.error) throw record.error;
    const parsed = scoredTraceSchema.safeParse(record.value);
    if (!parsed.success) throw notAScoredTrace(parsed.error.issues[0]!, path, record.line);
    yield parsed.data;
  }
}

function notAScoredTrace({ path: field, message }: z.core.$ZodIssue, path: string, line: number): ScorerError {
  return new ScorerError({
    code: 'SCORED_TRACE_INVALID',
    what: field.length > 0 ? `${field.join('.')}: ${message}` : message,
    where: `${path === '-' ? 'stdin' : path}:${line}`,
    hint: 'scored traces are made by scorer-train score',
  });
}
