import { distance } from 'fastest-levenshtein';
import { ScorerError } from '../errors/index.js';
import { toKebabCase } from './options.js';

/** What can be written on a command line, without dashes. */
export interface Vocabulary {
  commands: readonly string[];
  flags: readonly string[];
  /** What the chosen command takes without a flag. */
  positionals: readonly string[];
}

/**
 * The error for what yargs refused. A misspelt command or flag comes first: of one yargs would say only that the default
 * command does not know its flags, of the other that the flag it was meant for is missing.
 * @param message what yargs says
 * @param argv flags in kebab-case
 */
export function usageError(message: string, argv: readonly string[], known: Vocabulary): ScorerError {
  const { commands, flags, positionals } = known;
  const [first = ''] = argv;
  const command = first.startsWith('-') || commands.includes(first) ? undefined : nearest(first, commands);
  if (command) return error(`Unknown argument: ${first}`, [command]);

  const unknown = flagsOf(argv).filter((flag) => !flags.includes(flag) && !flags.includes(flag.replace(/^no-/, '')));
  if (unknown.length > 0) {
    const meant = unknown.flatMap((flag) => nearest(flag, flags) ?? []);
    return error(listing('Unknown argument', dashed(unknown)), dashed(meant));
  }
  const [, missing] = /^Missing required arguments?: (.*)$/.exec(message) ?? [];
  if (missing) return error(listing('Missing required argument', dashed(missing.split(', '))));
  if (message.startsWith('Not enough non-option arguments')) {
    return error(listing('Missing required argument', positionals));
  }
  return error(message);
}

function error(what: string, meant: readonly string[] = []): ScorerError {
  const question = meant.length > 0 ? `did you mean ${meant.join(', ')}? ` : '';
  return new ScorerError({ code: 'USAGE', kind: 'usage', what, hint: `${question}see --help` });
}

function listing(title: string, names: readonly string[]): string {
  return `${title}${names.length > 1 ? 's' : ''}: ${names.join(', ')}`;
}

function dashed(flags: readonly string[]): string[] {
  return flags.map((flag) => `--${flag}`);
}

/** Names of the long flags; yargs knows camelCase too, and dots inside of a name. */
function flagsOf(argv: readonly string[]): string[] {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  const names = argv.slice(0, end).flatMap((argument) => /^--([a-z][^=.]*)/i.exec(argument)?.[1] ?? []);
  return [...new Set(names.map(toKebabCase))];
}

/** How many letters may be wrong in a word that is still recognised: one in three. */
const WRONG_LETTERS = 1 / 3;

/** The word that was probably meant: one that begins so, else the one with the fewest wrong letters. */
function nearest(word: string, words: readonly string[]): string | undefined {
  const begun = words.filter((other) => other.startsWith(`${word}-`));
  if (begun.length === 1) return begun[0];
  const [best] = words
    .map((other) => ({ other, wrongLetters: distance(word, other) }))
    .sort((a, b) => a.wrongLetters - b.wrongLetters);
  return best && best.wrongLetters <= Math.max(1, word.length * WRONG_LETTERS) ? best.other : undefined;
}
