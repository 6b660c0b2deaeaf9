import { traceSchema } from '@scorer/core/schema';
import { z } from 'zod';
import type { LabelledTrace } from './preprocess-trace.js';
import type { Reject } from './reject.js';

export interface ParseOptions {
  /** The field that says whether the answer is right, where that is known. */
  isCorrectField?: string | null | undefined;
}

/** Labels as data sets hold them: booleans, and the numbers that pandas and databases make of them. */
const label = z.union([z.boolean(), z.literal([0, 1]).transform(Boolean)], 'neither true nor false');

/**
 * A parsed line as a trace. Answers that are numbers become text as they stand in the line, so that `3.0` and integers
 * beyond 2^53 keep their digits.
 * @param raw the line that `value` was parsed from
 * @returns the trace, and all fields of the line
 */
export function parseTrace(
  value: unknown,
  raw: string,
  { isCorrectField }: ParseOptions = {},
): { trace: LabelledTrace; row: Readonly<Record<string, unknown>> } | { reject: Reject } {
  const row = asRow(value);
  if (!row) return { reject: NOT_AN_OBJECT };
  // NaN, with which pandas fills gaps, stays a number and fails the schema.
  for (const field of ['ground_truth', 'extracted_answer']) {
    const answer = row[field];
    if (Number.isFinite(answer)) row[field] = digitsOf(field, Number(answer), raw);
  }
  const parsed = traceSchema.safeParse(row);
  if (!parsed.success) return { reject: rejectOf(parsed.error, row) };
  if (isCorrectField == null) return { trace: parsed.data, row };

  const labelled = z.object({ [isCorrectField]: label }).safeParse(row);
  if (!labelled.success) return { reject: rejectOf(labelled.error, row) };
  return { trace: { ...parsed.data, is_correct: labelled.data[isCorrectField] }, row };
}

export const NOT_AN_OBJECT: Reject = { code: 'NOT_AN_OBJECT', reason: 'the line is JSON but no object' };

/** The fields of a parsed line, undefined where it is no object. */
export function asRow(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

/** What is wrong with the first field that does not fit. */
export function rejectOf({ issues }: z.ZodError, row: Readonly<Record<string, unknown>>): Reject {
  const { path, message } = issues[0]!;
  const field = String(path[0]);
  return field in row
    ? { code: 'INVALID_FIELD', reason: `${path.join('.')}: ${message}` }
    : { code: 'MISSING_FIELD', reason: `${field} is missing` };
}

const NUMBER_AFTER_KEY = /\s*:\s*(-?\d[\d.eE+-]*)/y;

/**
 * The digits with which a number of a JSON line is written, `3.0` rather than 3. Inside a string the quotes of a key
 * would be escaped, so only keys match; those of nested objects are told apart by their value.
 */
export function digitsOf(field: string, value: number, raw: string): string {
  const key = JSON.stringify(field);
  for (let at = raw.indexOf(key); at !== -1; at = raw.indexOf(key, at + 1)) {
    NUMBER_AFTER_KEY.lastIndex = at + key.length;
    const digits = NUMBER_AFTER_KEY.exec(raw)?.[1];
    if (digits !== undefined && Number(digits) === value) return digits;
  }
  return String(value);
}
