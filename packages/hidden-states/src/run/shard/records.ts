import { ScorerError } from '@scorer/core/errors';
import { type JsonlRecord, readJsonl } from '@scorer/core/jsonl';
import { type StepRecord, stepRecordSchema } from '@scorer/core/schema';
import { type EngineLogprobs, readEngineLogprobs } from '../../logprobs/engine-logprobs.js';

/** A line of the step-record file: its 0-based number, and the record or what is wrong with it. */
export type RecordLine = UsableLine | { index: number; error: ScorerError };

export interface UsableLine {
  index: number;
  record: StepRecord;
  /** Where they are asked for. */
  logprobs?: EngineLogprobs;
}

export interface RecordOptions {
  /** What the file's first line counts as, 0 by default. */
  firstLine?: number | undefined;
  /** Reads the field `logprobs`, for means over so many tokens; a record that can't give them is an error. */
  logprobsTopK?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface RecordCursor {
  /** The records of lines [start, end). Ranges must be asked for in ascending order; the file is read once. */
  range(start: number, end: number): AsyncGenerator<RecordLine, void, undefined>;
  close(): Promise<void>;
}

export function openRecords(path: string, options: RecordOptions = {}): RecordCursor {
  const { firstLine = 0, logprobsTopK } = options;
  const lines = readJsonl(path, options)[Symbol.asyncIterator]();
  /** A line that was read but belongs to a later range. */
  let ahead: JsonlRecord | undefined;

  async function nextLine(): Promise<JsonlRecord | undefined> {
    const line = ahead ?? (await lines.next()).value;
    ahead = undefined;
    return line ?? undefined;
  }

  return {
    async *range(start, end) {
      for (let line = await nextLine(); line; line = await nextLine()) {
        const index = firstLine + line.line - 1;
        if (index >= end) {
          ahead = line;
          return;
        }
        if (index >= start) yield toRecord(line, index, logprobsTopK);
      }
    },
    close: async () => void (await lines.return?.(undefined)),
  };
}

function toRecord(line: JsonlRecord, index: number, logprobsTopK: number | undefined): RecordLine {
  if (line.error) return { index, error: line.error };
  const parsed = stepRecordSchema.safeParse(line.value);
  if (parsed.success) {
    if (logprobsTopK === undefined) return { index, record: parsed.data };
    try {
      const { logprobs } = line.value as { logprobs?: unknown };
      return { index, record: parsed.data, logprobs: readEngineLogprobs(logprobs, logprobsTopK) };
    } catch (error) {
      if (error instanceof ScorerError) return { index, error };
      throw error;
    }
  }
  const issue = parsed.error.issues[0]!;
  const what = `not a step record: ${issue.path.join('.')}: ${issue.message}`;
  return { index, error: new ScorerError({ code: 'NOT_A_STEP_RECORD', what, hint: 'run scorer-preprocess first' }) };
}
