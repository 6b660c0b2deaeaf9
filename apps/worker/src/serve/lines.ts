import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { fileError, onFile, writeFully } from '@scorer/core/files';
import { readLines } from '@scorer/core/jsonl';
import type { ManifestShard } from '../run/manifest.js';

const CHUNK_BYTES = 1024 ** 2;

/**
 * Copies a shard's lines of the input into a file in `folder`: with thousands of shards in an input of many gigabytes,
 * each would otherwise read the file from its beginning.
 * @throws ScorerError `INPUT_CHANGED` where the lines are not those that were submitted
 */
export async function copyLines(
  input: string,
  { start, end, first_byte, end_byte, fingerprint }: ManifestShard,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  // The name stands in messages about a line, beside its number in this file.
  const path = join(folder, `${basename(input)}.from-line-${start + 1}.jsonl`);
  const file = await onFile(path, () => open(path, 'w'));
  try {
    let position = 0;
    // An empty range is written with an end before its start, which a stream does not take.
    if (end_byte > first_byte) {
      const range = { start: first_byte, end: end_byte - 1, highWaterMark: CHUNK_BYTES };
      for await (const chunk of createReadStream(input, range) as AsyncIterable<Buffer>) {
        signal?.throwIfAborted();
        await writeFully(file, path, position, chunk);
        position += chunk.length;
      }
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw fileError(error, input);
  } finally {
    await file.close();
  }

  const hash = createHash('sha256');
  let lines = 0;
  for await (const { bytes } of readLines(path, { signal })) {
    hash.update(bytes).update('\n');
    lines += 1;
  }
  if (lines !== end - start || hash.digest('hex') !== fingerprint) {
    throw new ScorerError({
      code: 'INPUT_CHANGED',
      what: `lines ${start + 1} to ${end} are not those that were submitted`,
      where: input,
      hint: 'put the file back, or submit it under another --output-path',
    });
  }
  return path;
}
