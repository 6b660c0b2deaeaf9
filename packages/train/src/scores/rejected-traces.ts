import { basename } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { readJsonl } from '@scorer/core/jsonl';
import { traceSchema } from '@scorer/core/schema';
import { z } from 'zod';
import { parseOrUndefined } from '../parse-or-undefined.js';
import type { ScoredTrace } from './scored-trace.js';

/** A line of preprocessing's rejects file, as far as it is needed here. */
const rejectSchema = z.object({ line: z.number().int().positive(), raw: z.string() });
const questionSchema = traceSchema.pick({ question: true, ground_truth: true });

/**
 * The traces that preprocessing refused, as scored traces without score: wrong, and not voting. A line that names no
 * question (no JSON, a missing field) belongs to no vote; it comes as undefined.
 * @param path `<basename>.rejects.jsonl`
 * @throws ScorerError `REJECTS_INVALID`, the codes of `readJsonl`
 */
export async function* readRejectedTraces(
  path: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<ScoredTrace | undefined, void, undefined> {
  for await (const record of readJsonl(path, { signal })) {
    if (record.error) throw record.error;
    const reject = rejectSchema.safeParse(record.value);
    if (!reject.success) throw notAReject(`${path}:${record.line}`);
    const { data: raw } = questionSchema.safeParse(parseOrUndefined(reject.data.raw));
    yield raw
      ? {
          shard: basename(path),
          trace_index: reject.data.line - 1,
          question: raw.question,
          ground_truth: raw.ground_truth,
          extracted_answer: null,
          is_correct: false,
          tokens: 0,
          step_positions: [],
          step_scores: [],
          score: null,
        }
      : undefined;
  }
}

function notAReject(where: string): ScorerError {
  const hint = 'give <basename>.rejects.jsonl, which scorer-preprocess writes beside the step records';
  return new ScorerError({ code: 'REJECTS_INVALID', what: 'it is no line of a rejects file', where, hint });
}
