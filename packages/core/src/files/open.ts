import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { ScorerError } from '../errors/index.js';
import { onFile } from './system-error.js';

/** A pipe would let `open` wait for its writer; it has no meaning for a file, and Windows has no such flag. */
const READ_ONLY = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/**
 * Opens a file for reading. Of a model that came from elsewhere any file may be a link to a pipe, which is never read to
 * its end, or to a device, which has none.
 * @throws ScorerError `FILE_NOT_FOUND`, `IS_A_FOLDER`, `NOT_A_FILE`, …
 */
export async function openFile(path: string): Promise<FileHandle> {
  const handle = await onFile(path, () => open(path, READ_ONLY));
  try {
    const info = await onFile(path, () => handle.stat());
    if (info.isFile()) return handle;
    const folder = { code: 'IS_A_FOLDER', what: 'a folder stands where a file is needed', hint: 'name the file' };
    const other = { code: 'NOT_A_FILE', what: 'a pipe or device stands there', hint: 'put the file itself there' };
    throw new ScorerError({ ...(info.isDirectory() ? folder : other), where: path });
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * The bytes of a file, which has a size beyond which it is not read.
 * @param tooLarge the error for a larger one
 * @throws ScorerError as `openFile`
 */
export async function readSmallFile(
  path: string,
  maxBytes: number,
  tooLarge: (size: number) => ScorerError,
): Promise<Buffer> {
  const handle = await openFile(path);
  try {
    const { size } = await onFile(path, () => handle.stat());
    if (size > maxBytes) throw tooLarge(size);
    return await onFile(path, () => handle.readFile());
  } finally {
    await handle.close();
  }
}

/** As `readSmallFile`, or undefined where there is no such file. */
export async function readSmallFileIfPresent(
  ...[path, maxBytes, tooLarge]: Parameters<typeof readSmallFile>
): Promise<Buffer | undefined> {
  try {
    return await readSmallFile(path, maxBytes, tooLarge);
  } catch (error) {
    if (error instanceof ScorerError && ['FILE_NOT_FOUND', 'NOT_A_FOLDER'].includes(error.code)) return undefined;
    throw error;
  }
}
