import type { z } from 'zod';
import { ScorerError } from '../errors/index.js';

/**
 * The options of a command, checked and typed.
 * @throws ScorerError `BAD_OPTION` (usage) that names the flag.
 */
export function parseOptions<Schema extends z.ZodType>(schema: Schema, args: unknown): z.output<Schema> {
  const parsed = schema.safeParse(args, { error: describeIssue });
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

/** What is wrong with an option whose schema does not say it. */
function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'int' ? 'must be a whole number' : `must be a ${issue.expected}`;
    case 'too_small':
      if (issue.origin === 'string' || issue.origin === 'array') return 'must not be empty';
      return `must be ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`;
    case 'too_big':
      return `must be ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`;
    case 'invalid_value':
      return `must be ${issue.values.filter((value) => value !== '').join(', ')}`.replace(/, ([^,]*)$/, ' or $1');
    default:
      return typeof issue.input === 'string' ? `"${issue.input}" is not understood` : 'is not understood';
  }
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
