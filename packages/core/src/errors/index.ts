/**
 * What a caller can do about an error.
 * - `usage`: the call itself is wrong (flag, option); exit code 2.
 * - `input`: the data are wrong and will be wrong again; exit code 3.
 * - `retryable`: the same call can succeed later (disk full, lock held, device lost); exit code 4.
 */
export type ErrorKind = 'usage' | 'input' | 'retryable';

export interface ScorerErrorInit {
  /** Stable, upper case, part of the public interface: `TOKENIZER_NOT_FOUND`. */
  code: string;
  kind?: ErrorKind;
  /** What is wrong, in one clause. */
  what: string;
  /** File, line, tensor or flag that it concerns. */
  where?: string | undefined;
  /** What the reader can do about it. */
  hint?: string | undefined;
  cause?: unknown;
}

/** Every error that a `@scorer` function throws on purpose. Anything else that escapes is a bug. */
export class ScorerError extends Error {
  override readonly name = 'ScorerError';
  readonly code: string;
  readonly kind: ErrorKind;
  readonly what: string;
  readonly where: string | undefined;
  readonly hint: string | undefined;

  constructor({ code, kind = 'input', what, where, hint, cause }: ScorerErrorInit) {
    super([what, where, hint].filter(Boolean).join(', '), cause === undefined ? undefined : { cause });
    this.code = code;
    this.kind = kind;
    this.what = what;
    this.where = where;
    this.hint = hint;
  }
}

/** Node's errno codes that a user can meet, and what each means for the run. */
const SYSTEM_ERRORS: Record<string, { code: string; kind: ErrorKind; what: string; hint: string }> = {
  ENOENT: { code: 'FILE_NOT_FOUND', kind: 'input', what: 'no such file or folder', hint: 'check the path' },
  EISDIR: { code: 'IS_A_FOLDER', kind: 'input', what: 'a folder stands where a file is needed', hint: 'name the file' },
  ENOTDIR: {
    code: 'NOT_A_FOLDER',
    kind: 'input',
    what: 'a file stands where a folder is needed',
    hint: 'name a folder',
  },
  EACCES: { code: 'NO_PERMISSION', kind: 'input', what: 'permission denied', hint: 'check the rights' },
  EPERM: { code: 'NO_PERMISSION', kind: 'input', what: 'not permitted', hint: 'check the rights' },
  ENAMETOOLONG: { code: 'NAME_TOO_LONG', kind: 'input', what: 'the name is too long', hint: 'give a shorter one' },
  EROFS: { code: 'READ_ONLY_DISK', kind: 'input', what: 'the file system is read-only', hint: 'write elsewhere' },
  ENOSPC: { code: 'DISK_FULL', kind: 'retryable', what: 'no space left on the disk', hint: 'free space and run again' },
  EDQUOT: { code: 'DISK_FULL', kind: 'retryable', what: 'disk quota reached', hint: 'free space and run again' },
  EMFILE: { code: 'TOO_MANY_FILES', kind: 'retryable', what: 'too many open files', hint: 'raise ulimit -n' },
  EIO: { code: 'DISK_ERROR', kind: 'retryable', what: 'the disk did not answer', hint: 'check the disk and run again' },
};

/**
 * The `ScorerError` for a system error that a user can act on; any other value is returned as it is.
 * @param where what it concerns, where that is more than the error's own path: an open file's errors carry none
 */
export function fromSystemError(error: unknown, where?: string): unknown {
  if (error instanceof ScorerError || !(error instanceof Error) || !('code' in error)) return error;
  // Making a folder where a file stands is no other mistake than looking for one there.
  const madeFolder = error.code === 'EEXIST' && 'syscall' in error && error.syscall === 'mkdir';
  const known = SYSTEM_ERRORS[madeFolder ? 'ENOTDIR' : String(error.code)];
  if (!known) return error;
  const ownPath = 'path' in error ? String(error.path) : undefined;
  return new ScorerError({ ...known, where: where ?? ownPath, cause: error });
}
