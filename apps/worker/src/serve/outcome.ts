import { fromSystemError, ScorerError } from '@scorer/core/errors';

/**
 * What becomes of a shard whose extraction ended with an error, by the exit code that the command line would end with:
 * - `retry`: exit code 4 (disk full, out of memory, device lost), and 1, which may be a bug or a process gone wrong:
 *   tried again after a while, by whichever worker is free
 * - `fail`: exit codes 2 and 3: it would fail again
 */
export type Outcome = 'retry' | 'fail';

export function outcomeOf(thrown: unknown): Outcome {
  const error = fromSystemError(thrown);
  return error instanceof ScorerError && error.kind !== 'retryable' ? 'fail' : 'retry';
}

/** One line for the report: `[CODE] what, where, what to do`. */
export function reasonOf(thrown: unknown): string {
  const error = fromSystemError(thrown);
  const code = error instanceof ScorerError ? error.code : 'INTERNAL';
  const message = error instanceof Error ? error.message : String(error);
  return `[${code}] ${message.replace(/\s*[\r\n]+\s*/g, ' ').trim()}`;
}

/** Codes of errors that speak of the machine rather than of the shard, beside all that are retried. */
const MACHINE_CODES = new Set(['TOO_MANY_FAILURES', 'CUDA_UNAVAILABLE', 'ONNX_MODEL_REFUSED']);

/** Whether a worker that keeps meeting this error should think of itself rather than of the shards. */
export function speaksOfMachine(thrown: unknown): boolean {
  return outcomeOf(thrown) === 'retry' || (thrown instanceof ScorerError && MACHINE_CODES.has(thrown.code));
}
