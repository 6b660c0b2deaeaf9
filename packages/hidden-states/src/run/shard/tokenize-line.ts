import type { StepRecord } from '@scorer/core/schema';
import type { TokenConfidence } from '@scorer/core/shards';
import { fieldConfidence } from '../../logprobs/field-confidence.js';
import type { RecordLine } from './records.js';
import type { ShardRun } from './shard-run.js';
import { type TraceTokens, tokenizeRecord } from './trace-tokens.js';

/** A line of the step-record file that can be computed. */
export interface TokenizedTrace {
  readonly index: number;
  readonly record: StepRecord;
  readonly tokens: TraceTokens;
  /** Where the record's field `logprobs` was asked for. */
  readonly confidence: TokenConfidence | undefined;
}

/**
 * @throws ScorerError the line's own error, and the codes of `tokenizeRecord` and `fieldConfidence`; `TRACE_TOO_LONG`
 */
export function tokenizeLine(line: RecordLine, { tokenizer, fits }: ShardRun): TokenizedTrace {
  if ('error' in line) throw line.error;
  const { index, record, logprobs } = line;
  const tokens = tokenizeRecord(record, tokenizer);
  fits(tokens.inputIds.length);
  return { index, record, tokens, confidence: logprobs && fieldConfidence(logprobs, tokens, tokenizer) };
}
