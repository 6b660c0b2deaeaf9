import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { onFile } from './system-error.js';

export interface Sha256FileOptions {
  /** First byte, 0 by default. */
  start?: number;
  /** One past the last byte, the end of the file by default. */
  end?: number;
  signal?: AbortSignal | undefined;
}

/** Hashing is slower than reading at any size from here up. */
const CHUNK_BYTES = 1024 ** 2;

/** SHA-256 of a file, or of a range of its bytes, as 64 lower-case hex digits. */
export async function sha256File(
  path: string,
  { start = 0, end = Number.POSITIVE_INFINITY, signal }: Sha256FileOptions = {},
): Promise<string> {
  const hash = createHash('sha256');
  const handle = await onFile(path, () => open(path, 'r'));
  try {
    const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    for (let position = start; position < end; ) {
      signal?.throwIfAborted();
      const length = Math.min(CHUNK_BYTES, end - position);
      const { bytesRead } = await onFile(path, () => handle.read(chunk, 0, length, position));
      if (bytesRead === 0) break;
      hash.update(chunk.subarray(0, bytesRead));
      position += bytesRead;
    }
  } finally {
    await handle.close();
  }
  return hash.digest('hex');
}
