import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readTextIfPresent } from './folder.js';
import { loadModel } from './load-model.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'folder-'));
  path = join(folder, 'config.json');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a small file of a model', () => {
  test('is read, or is not there', async () => {
    expect(await readTextIfPresent(path)).toBeUndefined();
    writeFileSync(path, '{}');
    expect(await readTextIfPresent(path)).toBe('{}');
    expect(await readTextIfPresent(join(path, 'x'))).toBeUndefined();
  });

  test.each([
    ['a folder', 'IS_A_FOLDER', () => mkdirSync(path)],
    ['a device without an end', 'NOT_A_FILE', () => symlinkSync('/dev/zero', path)],
    [
      'a file of gigabytes',
      'CONFIG_INVALID',
      () => {
        writeFileSync(path, '{');
        truncateSync(path, 3 * 2 ** 30);
      },
    ],
  ])('is refused by name where it is %s', async (_, code, attack) => {
    attack();
    await expect(loadModel(folder)).rejects.toMatchObject({ code, where: path });
  });
});
