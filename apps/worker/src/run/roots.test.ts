import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkFolderInsideRoots, fromRootPath, MAX_PATH_LENGTH, openRoots, type Roots, toRootPath } from './roots.js';

let folder: string;
let roots: Roots;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'roots-')));
  for (const name of ['data', 'models', 'outside']) await mkdir(join(folder, name));
  await writeFile(join(folder, 'data', 'a.jsonl'), '');
  await writeFile(join(folder, 'outside', 'secret'), '');
  roots = await openRoots([join(folder, 'data'), join(folder, 'models')]);
});
afterEach(() => rm(folder, { recursive: true }));

test('a path is written relative to the root that holds it, and found again under another mount', async () => {
  await mkdir(join(folder, 'models', 'qwen'));
  expect(await toRootPath(join(folder, 'data', 'a.jsonl'), roots)).toBe('a.jsonl');
  expect(await toRootPath(join(folder, 'data', 'new', 'hs', 'x'), roots)).toBe('new/hs/x');
  expect(await fromRootPath('qwen', roots)).toBe(join(folder, 'models', 'qwen'));

  await symlink(join(folder, 'data'), join(folder, 'mount'));
  expect(await fromRootPath('a.jsonl', await openRoots([join(folder, 'mount')]))).toBe(join(folder, 'data', 'a.jsonl'));
});

test('a root that does not exist is refused', async () => {
  await expect(openRoots([join(folder, 'nowhere')])).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
});

describe('outside of the roots', () => {
  test.each([
    ['..', '../outside/secret'],
    ['.. further down', 'a/../../outside/secret'],
    ['an absolute path', '/etc/passwd'],
    ['a backslash', '..\\outside'],
    ['a null byte', 'a.jsonl\0'],
    ['a path that is too long', 'a'.repeat(MAX_PATH_LENGTH + 1)],
  ])('nothing is opened by %s', async (_, path) => {
    await expect(fromRootPath(path, roots)).rejects.toMatchObject({ code: 'BAD_ROOT_PATH' });
  });

  test('nothing is opened by a link, also in the middle of a path', async () => {
    await symlink(join(folder, 'outside'), join(folder, 'data', 'link'));
    await symlink(join(folder, 'outside', 'secret'), join(folder, 'data', 'file'));
    for (const path of ['link/secret', 'link', 'file']) {
      await expect(fromRootPath(path, roots)).rejects.toMatchObject({ code: 'OUTSIDE_ROOTS' });
    }
    await expect(toRootPath(join(folder, 'data', 'link', 'new'), roots)).rejects.toMatchObject({
      code: 'OUTSIDE_ROOTS',
    });
  });

  test('a link from one root to another is none', async () => {
    await symlink(join(folder, 'models'), join(folder, 'data', 'link'));
    expect(await fromRootPath('link', roots)).toBe(join(folder, 'models'));
  });

  test('a folder whose name begins with that of a root is none of it', async () => {
    await mkdir(join(folder, 'data2'));
    await expect(toRootPath(join(folder, 'data2', 'x'), roots)).rejects.toMatchObject({
      code: 'OUTSIDE_ROOTS',
      kind: 'usage',
    });
  });

  test('the files of a model are looked at one by one', async () => {
    const model = join(folder, 'models', 'qwen');
    await mkdir(model);
    await writeFile(join(model, 'config.json'), '{}');
    await checkFolderInsideRoots(model, roots);
    await symlink(join(folder, 'outside', 'secret'), join(model, 'model.safetensors'));
    await expect(checkFolderInsideRoots(model, roots)).rejects.toMatchObject({ code: 'OUTSIDE_ROOTS' });
  });
});
