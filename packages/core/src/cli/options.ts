import type { z } from 'zod';
import { ScorerError } from '../errors/index.js';

/**
 * The options of a command, checked and typed.
 * @throws ScorerError `BAD_OPTION` (usage) that names the flag.
 */
export function parseOptions<Schema extends z.ZodType>(schema: Schema, args: unknown): z.output<Schema> {
  const parsed = schema.safeParse(args);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const flag = toFlag(String(issue.path[0] ?? ''));
  throw new ScorerError({
    code: 'BAD_OPTION',
    kind: 'usage',
    what: issue.message,
    where: flag,
    hint: 'see --help',
    cause: parsed.error,
  });
}

/** `--input_file` means `--input-file`; values, and whatever follows a bare `--`, stay as they are. */
export function normaliseFlags(argv: readonly string[]): string[] {
  const end = argv.indexOf('--');
  return argv.map((argument, i) => {
    if (!argument.startsWith('--') || (end !== -1 && i >= end)) return argument;
    const [flag, ...value] = argument.split('=');
    return [flag!.replaceAll('_', '-'), ...value].join('=');
  });
}

function toFlag(camelCase: string): string {
  return `--${camelCase.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
