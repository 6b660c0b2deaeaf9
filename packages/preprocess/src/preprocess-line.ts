import type { StepRecord } from '@scorer/core/schema';
import { type PreprocessContext, preprocessTrace } from './preprocess-trace.js';
import type { InputLine } from './read-input.js';
import type { Reject, RejectedLine } from './reject.js';
import { type ParseOptions, parseTrace } from './trace-line.js';

export interface LineOptions extends ParseOptions {
  /** Further fields of the input to copy behind the nine of a step record. */
  keep?: readonly string[] | undefined;
}

export type LineOutcome =
  | { record: StepRecord; kept: Record<string, unknown>; tokenCount: number }
  | { rejected: RejectedLine };

/** One line of raw traces as a step record, with the further fields that are kept, or as a rejected line. */
export function preprocessLine(line: InputLine, context: PreprocessContext, options: LineOptions): LineOutcome {
  const reject = (reason: Reject): LineOutcome => ({ rejected: { line: line.line, ...reason, raw: line.raw } });
  if (line.reject) return reject(line.reject);

  const parsed = parseTrace(line.value, line.raw, options);
  if ('reject' in parsed) return reject(parsed.reject);

  const outcome = preprocessTrace(parsed.trace, context);
  if ('reject' in outcome) return reject(outcome.reject);
  const kept = (options.keep ?? []).flatMap((field) => (field in parsed.row ? [[field, parsed.row[field]]] : []));
  return { ...outcome, kept: Object.fromEntries(kept) };
}
