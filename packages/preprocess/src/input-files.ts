import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { glob, isDynamicPattern } from 'tinyglobby';
import { STDIN } from './read-input.js';

/**
 * Input files as they were named, patterns such as `raw/*.jsonl` replaced by the files that they match, in name order.
 * What exists under its name is that file, brackets and stars included; a file named twice is taken once.
 * @throws ScorerError `NO_MATCH` for a pattern that matches no file
 */
export async function expandInputs(inputs: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const input of inputs) {
    const isFileName = input === STDIN || existsSync(input) || !isDynamicPattern(input);
    files.push(...(isFileName ? [input] : await filesMatching(input)));
  }
  return [...new Set(files)];
}

async function filesMatching(pattern: string): Promise<string[]> {
  const files = await glob(pattern, { absolute: isAbsolute(pattern), expandDirectories: false });
  if (files.length > 0) return files.sort();
  throw new ScorerError({ code: 'NO_MATCH', what: 'no file matches the pattern', where: pattern, hint: 'check it' });
}
