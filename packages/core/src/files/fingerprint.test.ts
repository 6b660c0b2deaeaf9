import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256File } from './fingerprint.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fingerprint-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('SHA-256 of a file or of a part of it is that of its bytes', async () => {
  const path = join(folder, 'x');
  const bytes = Buffer.from(Array.from({ length: 2_500_001 }, (_, i) => i * 7));
  await writeFile(path, bytes);
  const digest = (start: number, end: number) => createHash('sha256').update(bytes.subarray(start, end)).digest('hex');
  expect(await sha256File(path)).toBe(digest(0, bytes.length));
  expect(await sha256File(path, { start: 3, end: 2_000_000 })).toBe(digest(3, 2_000_000));
  expect(await sha256File(path, { start: 2_500_000, end: 9_999_999 })).toBe(digest(2_500_000, 2_500_001));
});

test('an aborted signal stops it, a missing file has its error', async () => {
  const path = join(folder, 'y');
  await writeFile(path, 'y');
  await expect(sha256File(path, { signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
  await expect(sha256File(join(folder, 'missing'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
});
