import type { FileHandle } from 'node:fs/promises';
import { onFile } from './system-error.js';

/** One write call takes at most 2 GiB less a page on Linux; a round number below it. */
const MAX_WRITE_BYTES = 1024 ** 3;

/** Writes all of `bytes` at `position`, however many calls that takes. */
export async function writeFully(handle: FileHandle, path: string, position: number, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(bytes.length - done, MAX_WRITE_BYTES);
    const { bytesWritten } = await onFile(
      () => `${path} at byte ${position + done}`,
      () => handle.write(bytes, done, length, position + done),
    );
    done += bytesWritten;
  }
}
