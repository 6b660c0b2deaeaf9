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
  const flag = `--${toKebabCase(String(issue.path[0] ?? ''))}`;
  throw new ScorerError({
    code: 'BAD_OPTION',
    kind: 'usage',
    what: issue.message,
    where: flag,
    hint: 'see --help',
    cause: parsed.error,
  });
}

/**
 * The arguments as yargs understands them: `--input_file` means `--input-file`, and `-` (stdin) belongs to the flag
 * before it. Other values, and whatever follows a bare `--`, stay as they are.
 */
export function normaliseFlags(argv: readonly string[]): string[] {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  const normalised: string[] = [];
  for (const argument of argv.slice(0, end)) {
    const previous = normalised.at(-1);
    if (argument === '-' && previous?.startsWith('--') && !previous.includes('=')) {
      normalised[normalised.length - 1] = `${previous}=-`;
    } else {
      normalised.push(
        argument.startsWith('--') ? argument.replace(/^[^=]+/, (flag) => flag.replaceAll('_', '-')) : argument,
      );
    }
  }
  return [...normalised, ...argv.slice(end)];
}

/** `startIdx` → `start-idx` */
export function toKebabCase(camelCase: string): string {
  return camelCase.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
