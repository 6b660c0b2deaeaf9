import { setImmediate } from 'node:timers/promises';
import type { OnProgress } from '@scorer/core/cli';
import type { ScorerError } from '@scorer/core/errors';
import { countLines, type JsonlRecord, readJsonl } from '@scorer/core/jsonl';
import type { Reject } from './reject.js';

/** The name of standard input among input files. */
export const STDIN = '-';

/** A line that is not blank: its value, or the reason why it has none. Plain data, fit for another thread. */
export type InputLine =
  | { line: number; raw: string; value: unknown; reject?: undefined }
  | { line: number; raw: string; reject: Reject };

export interface ReadInputOptions {
  /** Lines after this one are not read. */
  limit?: number | undefined;
  /** Lines up to this one are passed over, and told to `onPassed`. */
  after?: number | undefined;
  onPassed?: ((line: InputLine) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** A batch is a fraction of a second's work, and large enough that handing it to a thread costs nothing. */
const BATCH_CHARACTERS = 2 ** 18;
const BATCH_LINES = 256;

/**
 * The lines of an input file in batches, none of them empty. Timers and signals get a turn between two batches: the
 * work on them is all arithmetic and would keep them waiting.
 */
export async function* readBatches(
  input: string,
  { limit = Number.POSITIVE_INFINITY, after = 0, onPassed, signal }: ReadInputOptions,
): AsyncGenerator<InputLine[], void, undefined> {
  let batch: InputLine[] = [];
  let characters = 0;
  for await (const record of readJsonl(input, { signal })) {
    if (record.line > limit) break;
    const line = toInputLine(record);
    if (record.line <= after) {
      onPassed?.(line);
      continue;
    }
    batch.push(line);
    characters += record.raw.length;
    if (characters >= BATCH_CHARACTERS || batch.length === BATCH_LINES) {
      yield batch;
      batch = [];
      characters = 0;
      await setImmediate();
      signal?.throwIfAborted();
    }
  }
  if (batch.length > 0) yield batch;
}

/** Reports the lines of a file as they are done with, out of all lines where they can be counted first. */
export async function lineProgress(
  input: string,
  { stage, limit, onProgress }: { stage: string; limit?: number | undefined; onProgress: OnProgress | undefined },
): Promise<(done: number) => void> {
  if (!onProgress) return () => {};
  const total = input === STDIN ? {} : { total: Math.min(limit ?? Number.POSITIVE_INFINITY, await countLines(input)) };
  return (done) => onProgress({ stage, done, unit: 'lines', ...total });
}

/** Reasons without the reader's file name, so that a rejects file does not depend on where its input lay. */
const LINE_REASONS = {
  LINE_TOO_LONG: 'the line is longer than a trace can be',
  INVALID_UTF8: 'the line is not valid UTF-8',
  NOT_JSON: 'the line is not valid JSON',
  LONE_SURROGATE: 'a string holds half a surrogate pair, which no tokenizer takes',
} as const;

function toInputLine({ line, raw, ...rest }: JsonlRecord): InputLine {
  return 'value' in rest ? { line, raw, value: rest.value } : { line, raw, reject: rejectOf(rest.error) };
}

function rejectOf(error: ScorerError): Reject {
  const code = (Object.keys(LINE_REASONS) as (keyof typeof LINE_REASONS)[]).find((known) => known === error.code);
  if (!code) throw error;
  return { code, reason: LINE_REASONS[code] };
}
