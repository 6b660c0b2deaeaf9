import type { ScorerError } from '@scorer/core/errors';
import type { JsonlRecord } from '@scorer/core/jsonl';
import type { StepRecord } from '@scorer/core/schema';
import { type PreprocessContext, preprocessTrace } from './preprocess-trace.js';
import type { Reject, RejectedLine } from './reject.js';
import { parseTrace } from './trace-line.js';

export type LineOutcome =
  | { record: StepRecord; kept: Record<string, unknown>; tokenCount: number }
  | { rejected: RejectedLine };

/** One line of raw traces as a step record, with the further fields that are kept, or as a rejected line. */
export function preprocessLine(line: JsonlRecord, context: PreprocessContext, keep: readonly string[]): LineOutcome {
  const reject = (reason: Reject): LineOutcome => ({ rejected: { line: line.line, ...reason, raw: line.raw } });
  if (line.error) return reject(rejectOf(line.error));

  const parsed = parseTrace(line.value, line.raw);
  if ('reject' in parsed) return reject(parsed.reject);

  const outcome = preprocessTrace(parsed.trace, context);
  if ('reject' in outcome) return reject(outcome.reject);
  const kept = Object.fromEntries(keep.flatMap((field) => (field in parsed.row ? [[field, parsed.row[field]]] : [])));
  return { ...outcome, kept };
}

/** Reasons without the reader's file name, so that a rejects file does not depend on where its input lay. */
const LINE_REASONS = {
  LINE_TOO_LONG: 'the line is longer than a trace can be',
  INVALID_UTF8: 'the line is not valid UTF-8',
  NOT_JSON: 'the line is not valid JSON',
  LONE_SURROGATE: 'a string holds half a surrogate pair, which no tokenizer takes',
} as const;

function rejectOf(error: ScorerError): Reject {
  const code = (Object.keys(LINE_REASONS) as (keyof typeof LINE_REASONS)[]).find((known) => known === error.code);
  if (!code) throw error;
  return { code, reason: LINE_REASONS[code] };
}
