import { createHash } from 'node:crypto';
import { formatJsonLine } from '@scorer/core/jsonl';
import type { LineOutcome } from './preprocess-line.js';
import type { InputLine } from './read-input.js';
import type { RejectCode } from './reject.js';

/** What statistics need to know of a step record. */
interface RecordFacts {
  /** Digest of the question's text. */
  question: string;
  is_correct: boolean;
  tokens: number;
  steps: number;
  /** Steps that have a label, right from 0.5 on; only of records with step labels. */
  labels?: { right: number; wrong: number };
}

export interface RejectFacts {
  line: number;
  code: RejectCode;
  reason: string;
}

/** A batch's share of both output files, in UTF-8, and what it consists of. Plain data, fit for another thread. */
export interface BatchOutcome {
  records: Uint8Array;
  rejects: Uint8Array;
  recordFacts: RecordFacts[];
  rejectFacts: RejectFacts[];
}

/**
 * What becomes of a batch of lines, in their order.
 * @param outcomesOf what becomes of one line: a record or a reject, or one for each trace that it holds
 */
export function preprocessBatch(
  batch: readonly InputLine[],
  outcomesOf: (line: InputLine) => readonly LineOutcome[],
): BatchOutcome {
  const records: string[] = [];
  const rejects: string[] = [];
  const recordFacts: RecordFacts[] = [];
  const rejectFacts: RejectFacts[] = [];

  for (const outcome of batch.flatMap(outcomesOf)) {
    if ('rejected' in outcome) {
      const { raw: _, ...facts } = outcome.rejected;
      rejects.push(`${formatJsonLine(outcome.rejected)}\n`);
      rejectFacts.push(facts);
    } else {
      const { record, kept, tokenCount } = outcome;
      records.push(`${formatJsonLine({ ...record, ...kept })}\n`);
      recordFacts.push({
        question: createHash('sha1').update(record.question).digest('base64'),
        is_correct: record.is_correct,
        tokens: tokenCount,
        steps: record.extracted_position.length,
        ...(record.step_labels && { labels: countLabels(record.step_labels) }),
      });
    }
  }
  return { records: toBytes(records), rejects: toBytes(rejects), recordFacts, rejectFacts };
}

function countLabels(labels: readonly (number | null)[]): { right: number; wrong: number } {
  const labelled = labels.filter((label) => label !== null);
  const right = labelled.filter((label) => label >= 0.5).length;
  return { right, wrong: labelled.length - right };
}

function toBytes(lines: readonly string[]): Uint8Array {
  return new TextEncoder().encode(lines.join(''));
}
