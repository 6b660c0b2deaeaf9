import { basename } from 'node:path';
import { parseJson, readJsonl } from '@scorer/core/jsonl';
import { traceSchema } from '@scorer/core/schema';
import { z } from 'zod';
import type { ScoredTrace } from './scored-trace.js';

/** A line of preprocessing's rejects file, as far as it is needed here. */
const rejectSchema = z.object({ line: z.number().int().positive(), raw: z.string() });
const questionSchema = traceSchema.pick({ question: true, ground_truth: true });

/**
 * The traces that preprocessing refused, as scored traces without score: wrong, and not voting. A line that names no
 * question (no JSON, a missing field) belongs to no vote; it comes as undefined.
 * @param path `<basename>.rejects.jsonl`
 */
export async function* readRejectedTraces(
  path: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<ScoredTrace | undefined, void, undefined> {
  for await (const record of readJsonl(path, { signal })) {
    if (record.error) throw record.error;
    const reject = rejectSchema.safeParse(record.value);
    const raw = reject.success ? questionSchema.safeParse(parseOrUndefined(reject.data.raw)) : undefined;
    yield raw?.success
      ? {
          shard: basename(path),
          trace_index: reject.data!.line - 1,
          question: raw.data.question,
          ground_truth: raw.data.ground_truth,
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

function parseOrUndefined(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
