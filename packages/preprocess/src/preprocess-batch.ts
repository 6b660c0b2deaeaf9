import { createHash } from 'node:crypto';
import { formatJsonLine } from '@scorer/core/jsonl';
import type { LineOptions } from './preprocess-line.js';
import { preprocessLine } from './preprocess-line.js';
import type { PreprocessContext } from './preprocess-trace.js';
import type { InputLine } from './read-input.js';
import type { RejectCode } from './reject.js';

/** What statistics need to know of a step record. */
interface RecordFacts {
  /** Digest of the question's text. */
  question: string;
  is_correct: boolean;
  tokens: number;
  steps: number;
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

/** What becomes of a batch of lines, in their order. */
export function preprocessBatch(
  batch: readonly InputLine[],
  context: PreprocessContext,
  options: LineOptions,
): BatchOutcome {
  const records: string[] = [];
  const rejects: string[] = [];
  const recordFacts: RecordFacts[] = [];
  const rejectFacts: RejectFacts[] = [];

  for (const line of batch) {
    const outcome = preprocessLine(line, context, options);
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
      });
    }
  }
  return { records: toBytes(records), rejects: toBytes(rejects), recordFacts, rejectFacts };
}

function toBytes(lines: readonly string[]): Uint8Array {
  return new TextEncoder().encode(lines.join(''));
}
