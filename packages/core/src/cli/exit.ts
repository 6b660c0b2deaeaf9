import { type ErrorKind, fromSystemError, ScorerError } from '../errors/index.js';

/** Exit codes of every `scorer-*` command; a script may rely on them. */
export const EXIT = {
  done: 0,
  bug: 1,
  usage: 2,
  input: 3,
  retryable: 4,
  interrupted: 130,
  terminated: 143,
} as const;

const EXIT_OF_KIND: Record<ErrorKind, number> = { usage: EXIT.usage, input: EXIT.input, retryable: EXIT.retryable };

/** The exit code and the line on stderr for whatever a command threw. */
export function describeFailure(thrown: unknown): { exitCode: number; line: string } {
  const error = fromSystemError(thrown);
  if (error instanceof ScorerError) {
    return { exitCode: EXIT_OF_KIND[error.kind], line: `error[${error.code}]: ${oneLine(error.message)}` };
  }
  const message = error instanceof Error ? error.message : String(error);
  const hint = 'this is a bug: run again with --verbose and report it';
  return { exitCode: EXIT.bug, line: `error[INTERNAL]: ${oneLine(message)}, ${hint}` };
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, ' ').trim();
}
