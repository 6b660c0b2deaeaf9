import { realpath } from 'node:fs/promises';
import { ScorerError } from '@scorer/core/errors';
import { z } from 'zod';

/** What happens to an output that stands already and was made otherwise. */
export const overwriteSchema = z.enum(['refuse', 'replace']).default('refuse');
export type Overwrite = z.output<typeof overwriteSchema>;

/**
 * Refuses to write to a file that is read.
 * @throws ScorerError `OUTPUT_IS_INPUT` (usage)
 */
export async function refuseInput(output: string, inputs: readonly string[]): Promise<void> {
  const existing = (path: string): Promise<string | undefined> => realpath(path).catch(() => undefined);
  const target = await existing(output);
  if (target === undefined) return;
  for (const input of inputs) {
    if ((await existing(input)) !== target) continue;
    const hint = 'name another output';
    throw new ScorerError({ code: 'OUTPUT_IS_INPUT', kind: 'usage', what: 'it is read', where: output, hint });
  }
}

/** The flag `--overwrite`, as the library takes it. */
export const overwriteFlag = z
  .boolean()
  .default(false)
  .transform((replace): Overwrite => (replace ? 'replace' : 'refuse'));
