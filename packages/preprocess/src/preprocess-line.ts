import type { StepRecord } from '@scorer/core/schema';
import { type PreprocessContext, preprocessTrace } from './preprocess-trace.js';
import type { InputLine } from './read-input.js';
import type { Reject, RejectedLine } from './reject.js';
import { type ParseOptions, parseTrace } from './trace-line.js';

export interface LineOptions extends ParseOptions {
  /** Further fields of the input to copy behind those of a step record. */
  keep?: readonly string[] | undefined;
}

export type LineOutcome =
  | { record: StepRecord; kept: Record<string, unknown>; tokenCount: number }
  | { rejected: RejectedLine };

/** One line of raw traces as a step record, with the further fields that are kept, or as a rejected line. */
export function preprocessLine(line: InputLine, context: PreprocessContext, options: LineOptions): LineOutcome {
  if (line.reject) return rejectedLine(line, line.reject);

  const parsed = parseTrace(line.value, line.raw, options);
  if ('reject' in parsed) return rejectedLine(line, parsed.reject);

  const outcome = preprocessTrace(parsed.trace, context);
  if ('reject' in outcome) return rejectedLine(line, outcome.reject);
  return { ...outcome, kept: keptFields(parsed.row, options.keep ?? []) };
}

export function rejectedLine({ line, raw }: InputLine, reject: Reject): LineOutcome {
  return { rejected: { line, ...reject, raw } };
}

/** The fields of a row that are to be copied, as far as it has them. */
export function keptFields(row: Readonly<Record<string, unknown>>, keep: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keep.flatMap((field) => (field in row ? [[field, row[field]]] : [])));
}
