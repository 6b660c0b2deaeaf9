import { realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { onFile } from '@scorer/core/files';
import { STDIN } from './read-input.js';

/** An input file and the files that are made of it. */
export interface Target {
  /** Path, or `-` for stdin. */
  input: string;
  output: string;
  rejects: string;
  /** Hidden record of how the two were made. */
  completion: string;
}

/**
 * Which files each input becomes: `x.jsonl`, `x.jsonl.gz` and `x.json` all become `x.jsonl`, so two such inputs in one
 * run are refused.
 * @throws ScorerError `SAME_OUTPUT` (usage), `OUTPUT_IS_INPUT` (usage), `FILE_NOT_FOUND`
 */
export async function planTargets(inputs: readonly string[], outputDir: string): Promise<Target[]> {
  const targets = inputs.map((input) => targetOf(input, outputDir));

  const inputOf = new Map<string, string>();
  for (const { input, output, rejects } of targets) {
    for (const path of [output, rejects]) {
      const other = inputOf.get(path);
      if (other !== undefined) {
        throw new ScorerError({
          code: 'SAME_OUTPUT',
          kind: 'usage',
          what: `${other} and ${input} would both write ${basename(path)}`,
          hint: 'rename one, or give them different output folders',
        });
      }
      inputOf.set(path, input);
    }
  }

  await refuseOverwriting(inputs, [...inputOf.keys()]);
  return targets;
}

/** @throws ScorerError `OUTPUT_IS_INPUT` (usage) where an output is one of the inputs, `FILE_NOT_FOUND` for an input */
export async function refuseOverwriting(inputs: readonly string[], outputs: readonly string[]): Promise<void> {
  const standing = await Promise.all(outputs.map((output) => realpath(output).catch(() => undefined)));
  for (const input of inputs) {
    if (input !== STDIN && standing.includes(await onFile(input, () => realpath(input)))) {
      throw new ScorerError({
        code: 'OUTPUT_IS_INPUT',
        kind: 'usage',
        what: 'the output would overwrite the input',
        where: input,
        hint: 'name another output',
      });
    }
  }
}

function targetOf(input: string, outputDir: string): Target {
  const name =
    input === STDIN
      ? 'stdin'
      : basename(input)
          .replace(/\.(gz|zst)$/, '')
          .replace(/(?<=.)\.[^.]+$/, '');
  return {
    input,
    output: join(outputDir, `${name}.jsonl`),
    rejects: join(outputDir, `${name}.rejects.jsonl`),
    completion: join(outputDir, `.${name}.preprocess.json`),
  };
}
