/**
 * Why a line did not become a step record; stable, part of the format of `*.rejects.jsonl`.
 *
 * | code | meaning |
 * |---|---|
 * | `LINE_TOO_LONG` | the line passes the reader's limit |
 * | `INVALID_UTF8` | the line is not UTF-8 |
 * | `NOT_JSON` | the line is not JSON |
 * | `LONE_SURROGATE` | a string holds half a surrogate pair (`"\ud800"`) |
 * | `NOT_AN_OBJECT` | JSON, but no object |
 * | `MISSING_FIELD` | `question`, `response`, `ground_truth` or the field of the label is not there |
 * | `INVALID_FIELD` | one of the fields that are read has another type |
 * | `TEMPLATE_REFUSED` | the chat template raises an error for this question |
 * | `NO_ANSWER` | `extracted_answer` is null or missing |
 * | `NO_THINK` | the response has no `<think>` |
 * | `SEGMENTS_MISMATCH` | the decoded segments don't join to the text again |
 * | `TOO_MANY_TOKENS` | prompt and forward text have more tokens than are allowed |
 * | `LABELS_DISAGREE` | labels and steps of a row with step labels do not belong together |
 * | `NO_STEP_LABEL` | no step of the solution has a label |
 * | `EMPTY_STEP` | a step has no text, so that its end is that of the step before it |
 */
export const REJECT_CODES = [
  'LINE_TOO_LONG',
  'INVALID_UTF8',
  'NOT_JSON',
  'LONE_SURROGATE',
  'NOT_AN_OBJECT',
  'MISSING_FIELD',
  'INVALID_FIELD',
  'TEMPLATE_REFUSED',
  'NO_ANSWER',
  'NO_THINK',
  'SEGMENTS_MISMATCH',
  'TOO_MANY_TOKENS',
  'LABELS_DISAGREE',
  'NO_STEP_LABEL',
  'EMPTY_STEP',
] as const;

export type RejectCode = (typeof REJECT_CODES)[number];

export interface Reject {
  code: RejectCode;
  /** For a person to read. */
  reason: string;
}

/** One line of `<basename>.rejects.jsonl`. */
export interface RejectedLine extends Reject {
  /** 1-based, in the input file. */
  line: number;
  /** The input line as it was; its beginning where it was too long. */
  raw: string;
}
