import { createContext, Script } from 'node:vm';
import { ScorerError } from '@scorer/core/errors';

/**
 * A chat template is a program and a tokenizer's pattern may backtrack for ages: both come with a model that someone
 * else made. No honest line takes so long; the slowest tokenizer makes 64 MB, the longest line, in 100 s.
 */
export const BATCH_LIMIT_MS = 300_000;

/** One short prompt. */
export const PROBE_LIMIT_MS = 20_000;

const script = new Script('work()');
const context = createContext({ work: undefined as (() => void) | undefined });

/**
 * Runs synchronous work and ends it, wherever it is, when its time is over: node:vm can stop a loop and a regular
 * expression in the middle. Memory is not limited.
 * @throws ScorerError `TOO_SLOW`, and what the work throws
 */
export function withTimeLimit<Result>(work: () => Result, { ms, what }: { ms: number; what: string }): Result {
  let result: { value: Result } | undefined;
  context.work = () => {
    result = { value: work() };
  };
  try {
    script.runInContext(context, { timeout: ms });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw new ScorerError({
      code: 'TOO_SLOW',
      what: `${what} took more than ${ms / 1000} s`,
      hint: "look at the model's chat template and at the patterns in its tokenizer.json: one may never end",
      cause: error,
    });
  }
  return result!.value;
}
