import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ScorerError } from '@scorer/core/errors';
import { writeFileAtomic } from '@scorer/core/files';
import { z } from 'zod';

const completionSchema = z.object({
  format: z.literal('scorer.completion'),
  version: z.literal(1),
  /** SHA-256 of the input. */
  input: z.string(),
  /** All that decides the outputs beside the input. */
  settings: z.record(z.string(), z.unknown()),
  /** Name and size in bytes of each output. */
  outputs: z.record(z.string(), z.number()),
  result: z.unknown(),
});

/** What is written beside finished outputs, so that the same command run again knows that it is done. */
export type Completion = Omit<z.output<typeof completionSchema>, 'format' | 'version'>;

/**
 * The completion of outputs that exist; undefined where one of them is still to be made.
 * @param expected `input` is undefined while it isn't known (a pipe): compare it at the end
 * @throws ScorerError `OUTPUT_EXISTS` where a file stands that was not made from this input with these settings
 */
export async function findCompletion<Result>(
  { path, outputs }: { path: string; outputs: readonly string[] },
  expected: { input: string | undefined; settings: Completion['settings'] },
  resultSchema: z.ZodType<Result>,
): Promise<{ input: string; result: Result } | undefined> {
  const sizes = await Promise.all(outputs.map(sizeIfPresent));
  const present = outputs.filter((_, i) => sizes[i] !== undefined);
  if (present[0] === undefined) return undefined;

  const completion = await read(path);
  const result = resultSchema.safeParse(completion?.result);
  if (!completion || !result.success) throw outputExists(present[0], 'it was not made by this command');
  if (expected.input !== undefined && expected.input !== completion.input) {
    throw outputExists(present[0], 'it was made from another input');
  }
  const setting = differingSetting(completion.settings, expected.settings);
  if (setting) throw outputExists(present[0], `it was made with another ${setting}`);
  const changed = outputs.find((output, i) => ![undefined, completion.outputs[basename(output)]].includes(sizes[i]));
  if (changed) throw outputExists(changed, 'it was changed after it was made');

  return present.length === outputs.length ? { input: completion.input, result: result.data } : undefined;
}

/** Writes the record. It comes before the outputs get their names: an output without a record is then never ours. */
export async function writeCompletion(path: string, completion: Completion): Promise<void> {
  const record = { format: 'scorer.completion', version: 1, ...completion };
  await writeFileAtomic(path, `${JSON.stringify(record, null, 1)}\n`);
}

export function outputSizes(paths: readonly string[], sizes: readonly number[]): Completion['outputs'] {
  return Object.fromEntries(paths.map((path, i) => [basename(path), sizes[i]!]));
}

export function outputExists(path: string, why: string): ScorerError {
  return new ScorerError({
    code: 'OUTPUT_EXISTS',
    what: `the output exists and ${why}`,
    where: path,
    hint: 'name another output, or give --overwrite',
  });
}

async function read(path: string): Promise<Completion | undefined> {
  try {
    return completionSchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data;
  } catch {
    // Missing or damaged: either way nothing vouches for the outputs.
    return undefined;
  }
}

function differingSetting(a: Completion['settings'], b: Completion['settings']): string | undefined {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].find((name) => !isDeepStrictEqual(a[name], b[name]));
}

async function sizeIfPresent(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}
