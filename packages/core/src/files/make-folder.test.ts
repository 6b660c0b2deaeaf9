import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeFolder } from './make-folder.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'make-folder-'));
});
afterAll(() => rm(root, { recursive: true }));

test('makes all folders of a path, also when several make them at once', async () => {
  const path = join(root, 'a', 'b', 'c');
  await Promise.all([makeFolder(path), makeFolder(path), makeFolder(join(root, 'a', 'b'))]);
  expect((await stat(path)).isDirectory()).toBe(true);
  await makeFolder(path);
});

test('takes a link to a folder for one', async () => {
  await mkdir(join(root, 'real'));
  await symlink(join(root, 'real'), join(root, 'link'));
  await makeFolder(join(root, 'link'));
  await makeFolder(join(root, 'link', 'inside'));
  expect(existsSync(join(root, 'real', 'inside'))).toBe(true);
});

test('a file in the way is named', async () => {
  await writeFile(join(root, 'file'), '');
  for (const path of [join(root, 'file'), join(root, 'file', 'a'), join(root, 'file', 'a', 'b')]) {
    await expect(makeFolder(path)).rejects.toMatchObject({ code: 'NOT_A_FOLDER', where: path });
  }
});

test.runIf(process.platform === 'linux')('ends where the system lets no folder be made', async () => {
  await expect(makeFolder('/proc/none/of/these')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
});
