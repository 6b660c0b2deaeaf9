import { setImmediate } from 'node:timers/promises';
import type { OnProgress } from '@scorer/core/cli';
import { countLines, type JsonlRecord, readJsonl } from '@scorer/core/jsonl';

/** The name of standard input among input files. */
export const STDIN = '-';

export interface ReadInputOptions {
  /** What is done with the lines, for the progress display. */
  stage: string;
  /** Lines after this one are not read. */
  limit?: number | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
}

/** Short enough that a signal or a progress bar is answered at once, long enough to cost nothing. */
const LONGEST_GAP_MS = 50;

/**
 * The lines of an input file. Progress is reported after each one's work, and timers and signals get a turn between
 * two lines: the work itself is all arithmetic and would keep them waiting.
 */
export async function* readInput(
  input: string,
  { stage, limit = Number.POSITIVE_INFINITY, signal, onProgress }: ReadInputOptions,
): AsyncGenerator<JsonlRecord, void, undefined> {
  const total = input === STDIN || !onProgress ? undefined : Math.min(limit, await countLines(input));
  let lastTurn = performance.now();

  for await (const record of readJsonl(input, { signal })) {
    if (record.line > limit) return;
    yield record;
    onProgress?.({ stage, done: record.line, unit: 'lines', ...(total !== undefined && { total }) });
    if (performance.now() - lastTurn > LONGEST_GAP_MS) {
      await setImmediate();
      signal?.throwIfAborted();
      lastTurn = performance.now();
    }
  }
}
