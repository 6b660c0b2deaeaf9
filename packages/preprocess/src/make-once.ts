import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type AtomicFile, createAtomicFile, onFile, removeStaleTemporaries, sha256File } from '@scorer/core/files';
import type { z } from 'zod';
import { findCompletion, outputExists, outputSizes, writeCompletion } from './completion.js';
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
  /** Makes the outputs anew, whatever they are. */
  overwrite: boolean;
  signal: AbortSignal | undefined;
}

/**
 * Makes outputs that appear together when they are whole, unless an earlier run made the same ones: its result is then
 * returned again.
 * @param make writes the files, in the order of `outputs`, and reports each line that it reads, so that a pipe has a
 *   fingerprint too
 * @throws ScorerError `OUTPUT_EXISTS` where an output stands that was not made by this job; `FILE_NOT_FOUND`
 */
export async function makeOnce<Result>(
  { input, outputs, completion, settings, resultSchema, overwrite, signal }: Job<Result>,
  make: (files: readonly AtomicFile[], onLine: (raw: string) => void) => Promise<Result>,
): Promise<{ result: Result; wasDone: boolean }> {
  const fileDigest = input === STDIN ? undefined : await sha256File(input, { signal });
  const earlier = overwrite
    ? undefined
    : await findCompletion({ path: completion, outputs }, { settings, input: fileDigest }, resultSchema);
  if (earlier && fileDigest !== undefined) return { result: earlier.result, wasDone: true };

  const folder = dirname(outputs[0]!);
  await onFile(folder, () => mkdir(folder, { recursive: true }));
  await removeStaleTemporaries(folder);
  const lines = createHash('sha256');
  const files: AtomicFile[] = [];
  try {
    for (const path of outputs) files.push(await createAtomicFile(path));
    const result = await make(files, (raw) => void lines.update(raw).update('\n'));
    const digest = fileDigest ?? lines.digest('hex');
    if (earlier) {
      // Of a pipe it shows only now whether it held what the outputs were made from.
      if (earlier.input !== digest) throw outputExists(outputs[0]!, 'it was made from another input');
      return { result: earlier.result, wasDone: true };
    }
    await writeCompletion(completion, { input: digest, settings, outputs: outputSizes(outputs, files), result });
    for (const file of files) await file.commit();
    return { result, wasDone: false };
  } finally {
    for (const file of files) await file.discard();
  }
}
