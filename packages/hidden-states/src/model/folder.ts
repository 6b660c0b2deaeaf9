import { ScorerError } from '@scorer/core/errors';
import { readSmallFileIfPresent } from '@scorer/core/files';

/** A config.json takes some kilobytes, with the names of a million classes some megabytes. */
const MAX_TEXT_BYTES = 2 ** 26;

/**
 * The text of a small file, or undefined where there is none.
 * @throws ScorerError `CONFIG_INVALID` for a size that no such file has, and the codes of core's `openFile`
 */
export async function readTextIfPresent(path: string): Promise<string | undefined> {
  const bytes = await readSmallFileIfPresent(path, MAX_TEXT_BYTES, (size) => tooLarge(size, path));
  return bytes?.toString();
}

function tooLarge(size: number, where: string): ScorerError {
  const what = `${size} bytes, more than the ${MAX_TEXT_BYTES} it may have`;
  return new ScorerError({ code: 'CONFIG_INVALID', what, where, hint: 'put the file of the model there' });
}
