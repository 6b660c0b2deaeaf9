import { createHash, type Hash } from 'node:crypto';
import { dirname } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { makeFolder, removeStaleTemporaries, sha256File } from '@scorer/core/files';
import type { z } from 'zod';
import { findCompletion, outputExists, outputSizes, writeCompletion } from './completion.js';
import type { Outputs } from './outputs.js';
import { STDIN } from './read-input.js';

export interface Job<Result> {
  /** Path, or `-` for stdin. */
  input: string;
  /** All in one folder, which is made where it is missing; in the order in which they get their names. */
  outputs: readonly string[];
  /** Where the record lies of how the outputs were made. */
  completion: string;
  /** All that decides the outputs beside the input. */
  settings: Readonly<Record<string, unknown>>;
  resultSchema: z.ZodType<Result>;
  /** `replace` makes the outputs anew, whatever they are. */
  overwrite: 'refuse' | 'replace';
  signal: AbortSignal | undefined;
}

/**
 * Makes outputs that appear together when they are whole, unless an earlier run made the same ones: its result is then
 * returned again. A run that is stopped, or that the machine fails, leaves what its outputs can go on with; one that
 * fails because of its input leaves nothing.
 * @param open opens the outputs; `inputDigest` is undefined for a pipe
 * @param make writes them, and adds each line that it reads (with a line feed) to `linesRead`, so that a pipe has a
 *   fingerprint too
 * @throws ScorerError `OUTPUT_EXISTS` where an output stands that was not made by this job; `FILE_NOT_FOUND`
 */
export async function makeOnce<Result, JobOutputs extends Outputs>(
  { input, outputs: paths, completion, settings, resultSchema, overwrite, signal }: Job<Result>,
  open: (inputDigest: string | undefined) => Promise<JobOutputs>,
  make: (outputs: JobOutputs, linesRead: Hash) => Promise<Result>,
): Promise<{ result: Result; wasDone: boolean }> {
  const fileDigest = input === STDIN ? undefined : await sha256File(input, { signal });
  const earlier =
    overwrite === 'replace'
      ? undefined
      : await findCompletion({ path: completion, outputs: paths }, { settings, input: fileDigest }, resultSchema);
  if (earlier && fileDigest !== undefined) return { result: earlier.result, wasDone: true };

  const folder = dirname(paths[0]!);
  await makeFolder(folder);
  await removeStaleTemporaries(folder);
  const linesRead = createHash('sha256');
  const outputs = await open(fileDigest);
  try {
    const result = await make(outputs, linesRead);
    const digest = fileDigest ?? linesRead.digest('hex');
    if (earlier) {
      // Of a pipe it shows only now whether it held what the outputs were made from.
      if (earlier.input !== digest) throw outputExists(paths[0]!, 'it was made from another input');
      await outputs.discard();
      return { result: earlier.result, wasDone: true };
    }
    await writeCompletion(completion, { input: digest, settings, outputs: outputSizes(paths, outputs.sizes), result });
    await outputs.commit();
    return { result, wasDone: false };
  } catch (error) {
    if (error instanceof ScorerError && error.kind !== 'retryable') await outputs.discard();
    throw error;
  } finally {
    await outputs.close();
  }
}
