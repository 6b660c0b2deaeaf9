import { fromSystemError } from '../errors/index.js';

/**
 * Puts `where` (a path, and how far it came) on an error of the system: those of an open file carry no path.
 * @returns a ScorerError for what a user can act on (`DISK_FULL`, `NO_PERMISSION`, …), else the error itself
 */
export function fileError(error: unknown, where: string): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error;
  return fromSystemError(error, where);
}

/** Runs an operation on a file and throws what `fileError` makes of its errors. */
export async function onFile<Result>(
  where: string | (() => string),
  operation: () => Promise<Result>,
): Promise<Result> {
  try {
    return await operation();
  } catch (error) {
    throw fileError(error, typeof where === 'string' ? where : where());
  }
}
