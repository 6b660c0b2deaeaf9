import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ScorerError } from '../errors/index.js';
import { openFile, readSmallFile } from './open.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'open-'));
});
afterAll(() => rm(folder, { recursive: true }));

const tooLarge = (size: number): ScorerError => new ScorerError({ code: 'TOO_LARGE', what: `${size} bytes` });

test('a file is read, also through a link, up to the size that it may have', async () => {
  await writeFile(join(folder, 'file'), 'four');
  await symlink('file', join(folder, 'link'));
  expect(String(await readSmallFile(join(folder, 'link'), 4, tooLarge))).toBe('four');
  await expect(readSmallFile(join(folder, 'file'), 3, tooLarge)).rejects.toMatchObject({ what: '4 bytes' });
});

describe.runIf(process.platform === 'linux')('what is no file is refused at once', () => {
  test.each([
    ['a folder', 'IS_A_FOLDER', () => folder],
    ['nothing', 'FILE_NOT_FOUND', () => join(folder, 'none')],
    ['a device', 'NOT_A_FILE', () => '/dev/zero'],
    [
      'a pipe without a writer',
      'NOT_A_FILE',
      () => {
        execFileSync('mkfifo', [join(folder, 'pipe')]);
        return join(folder, 'pipe');
      },
    ],
  ])('%s: %s', async (_, code, make) => {
    const path = make();
    await expect(openFile(path)).rejects.toMatchObject({ code, where: path });
  });
});
