import { spawnSync } from 'node:child_process';
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createAtomicFile, removeStaleTemporaries, removeTemporariesOf, writeFileAtomic } from './atomic.js';
import { newOwnerTag } from './owner.js';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'files-'));
  path = join(folder, 'x.bin');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

const visible = async () => (await readdir(folder)).filter((name) => !name.startsWith('.'));

describe('an atomic file', () => {
  test('appears whole at commit and not before, whatever the sizes of the writes', async () => {
    const parts = [3, 2 ** 20 - 1, 1, 0, 2 ** 20, 5_000_000, 7].map((size, i) => Buffer.alloc(size, 65 + i));
    const file = await createAtomicFile(path);
    for (const part of parts) await file.write(part);
    await file.write('é');
    await file.overwrite(1, Buffer.from('!'));
    const expected = Buffer.concat([...parts, Buffer.from('é')]);
    expected[1] = '!'.charCodeAt(0);
    expect(file.bytesWritten).toBe(expected.length);
    expect(await visible()).toEqual([]);
    await file.commit();
    await file.discard();
    expect(await readdir(folder)).toEqual(['x.bin']);
    expect((await readFile(path)).equals(expected)).toBe(true);
  });

  test('that is discarded leaves the old one and nothing else', async () => {
    await writeFileAtomic(path, 'old');
    const file = await createAtomicFile(path);
    await file.write('new');
    await file.discard();
    expect(await readdir(folder)).toEqual(['x.bin']);
    expect(await readFile(path, 'utf8')).toBe('old');
  });

  test('of two writers comes from the one that was last, never from both', async () => {
    const files = await Promise.all([createAtomicFile(path), createAtomicFile(path)]);
    for (const [i, file] of files.entries()) for (let k = 0; k < 50; k++) await file.write(Buffer.alloc(50_000, i));
    await files[1]!.commit();
    await files[0]!.commit();
    expect(new Set(await readFile(path))).toEqual(new Set([0]));
    expect(await readdir(folder)).toEqual(['x.bin']);
  });

  test('in a folder that is missing is FILE_NOT_FOUND', async () => {
    await expect(createAtomicFile(join(folder, 'missing', 'x'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });
});

describe.each([
  ['ENOSPC', 'DISK_FULL'],
  ['EIO', 'DISK_ERROR'],
])('%s at any operation', (errno, code) => {
  test('leaves the old file and nothing else, and says where', async () => {
    const content = Buffer.alloc(3_500_000, 1);
    const write = async () => {
      const file = await createAtomicFile(path);
      try {
        for (let start = 0; start < content.length; start += 600_000)
          await file.write(content.subarray(start, start + 600_000));
        await file.commit();
      } finally {
        await file.discard();
      }
    };
    await writeFileAtomic(path, 'old');
    for (let n = 1; ; n++) {
      const failed = await failOperation(n, errno, write);
      if (!failed) {
        expect(n).toBeGreaterThan(6);
        break;
      }
      expect(failed).toMatchObject({ code, kind: 'retryable', message: expect.stringContaining(folder) });
      expect(await readdir(folder)).toEqual(['x.bin']);
      // A failed sync of the folder comes after the rename: then the new file is whole.
      expect([3, content.length]).toContain((await readFile(path)).length);
      await writeFileAtomic(path, 'old');
    }
    expect((await readFile(path)).equals(content)).toBe(true);
  });
});

/** Runs `action` with the n-th write or sync failing; returns what it threw. */
async function failOperation(n: number, errno: string, action: () => Promise<void>): Promise<unknown> {
  const handle = await open(folder, 'r');
  const prototype = Object.getPrototypeOf(handle);
  await handle.close();
  let count = 0;
  for (const name of ['write', 'sync', 'datasync']) {
    const original = prototype[name];
    vi.spyOn(prototype, name).mockImplementation(function (this: unknown, ...args: unknown[]) {
      count += 1;
      if (count !== n) return original.apply(this, args);
      return Promise.reject(Object.assign(new Error(`${errno}: injected, ${name}`), { code: errno, syscall: name }));
    });
  }
  try {
    return await action().then(
      () => undefined,
      (error: unknown) => error,
    );
  } finally {
    vi.restoreAllMocks();
  }
}

test('temporary files of processes that were killed are removed, those of living ones and strangers stay', async () => {
  const { pid: deadPid } = spawnSync(process.execPath, ['--version']);
  const own = newOwnerTag();
  const [host, pid, start, count] = own.split('-');
  const of = (tag: string) => `.x.bin.${tag}.tmp`;
  const stale = [of(`${host}-${deadPid}-${start}-1`), of(`${host}-${pid}-${Number(start) + 1}-${count}`)];
  const kept = [of(own), of(`00000000-${deadPid}-${start}-1`), '.x.bin.tmp', 'x.tmp', '.hidden'];
  for (const name of [...stale, ...kept]) await writeFile(join(folder, name), '');
  expect(await removeStaleTemporaries(folder)).toBe(2);
  expect((await readdir(folder)).sort()).toEqual(kept.sort());
});

test('who holds the lock of a file removes its temporary files, whoever made them, and no others', async () => {
  const file = await createAtomicFile(path);
  const kept = [`.x.bin.old.${newOwnerTag()}.tmp`, `.bin.${newOwnerTag()}.tmp`, '.x.bin.tmp'];
  for (const name of [...kept, '.x.bin.00000000-1-1-1.tmp']) await writeFile(join(folder, name), '');
  expect(await removeTemporariesOf(path)).toBe(2);
  expect((await readdir(folder)).sort()).toEqual(kept.sort());
  await expect(file.commit()).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  await file.discard();
});
