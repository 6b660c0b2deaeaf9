import type { FileHandle } from 'node:fs/promises';
import { ScorerError } from '../errors/index.js';
import { onFile } from './system-error.js';

/** One read call returns at most 2 GiB less a page on Linux; a round number below it. */
const MAX_READ_BYTES = 1024 ** 3;

/**
 * Fills `into` with the bytes of a file from `position` on.
 * @throws ScorerError `FILE_TRUNCATED` when the file ends before that
 */
export async function readFully(handle: FileHandle, path: string, position: number, into: Uint8Array): Promise<void> {
  let done = 0;
  while (done < into.length) {
    const length = Math.min(into.length - done, MAX_READ_BYTES);
    const { bytesRead } = await onFile(path, () => handle.read(into, done, length, position + done));
    if (bytesRead === 0) {
      throw new ScorerError({
        code: 'FILE_TRUNCATED',
        what: `the file ends at byte ${position + done}, ${into.length - done} bytes early`,
        where: path,
        hint: 'it was cut while it was open; make or copy it again',
      });
    }
    done += bytesRead;
  }
}
