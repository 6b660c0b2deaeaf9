import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockFile } from './lock.js';
import { newOwnerTag } from './owner.js';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lock-'));
  path = join(folder, 'x');
});
afterEach(() => rm(folder, { recursive: true }));

test('a lock is held once until it is released, and leaves nothing behind', async () => {
  const lock = await lockFile(path);
  expect(lock).toBeDefined();
  expect(await lockFile(path)).toBeUndefined();
  const other = await lockFile(join(folder, 'x.y'));
  expect(other).toBeDefined();
  await other?.release();
  await lock?.release();
  const again = await lockFile(path);
  expect(again).toBeDefined();
  await again?.release();
  expect(await readdir(folder)).toEqual([]);
});

test('of many takers at the same time at most one is served', async () => {
  for (let round = 0; round < 20; round++) {
    const locks = await Promise.all(Array.from({ length: 5 }, () => lockFile(path)));
    expect(locks.filter(Boolean).length).toBeLessThanOrEqual(1);
    for (const lock of locks) await lock?.release();
  }
});

test('the lock of a process that runs holds, and falls when it is killed', async () => {
  const library = new URL('../../dist/files/index.js', import.meta.url);
  const program = `
    import { lockFile } from ${JSON.stringify(library.href)};
    if (await lockFile(${JSON.stringify(path)})) process.stdout.write('locked');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program]);
  await once(child.stdout, 'data');
  expect(await lockFile(path)).toBeUndefined();
  child.kill('SIGKILL');
  await once(child, 'exit');
  const lock = await lockFile(path);
  expect(lock).toBeDefined();
  await lock?.release();
  expect(await readdir(folder)).toEqual([]);
});

test('a dead owner is told by its process, and by its start where the number was given out again', async () => {
  const { pid: deadPid } = spawnSync(process.execPath, ['--version']);
  const [host, pid, start] = newOwnerTag().split('-');
  for (const tag of [`${host}-${deadPid}-${start}-1`, `${host}-${pid}-${Number(start) + 1}-1`]) {
    await writeFile(join(folder, `.x.${tag}.lock`), '');
    const lock = await lockFile(path);
    expect(lock, tag).toBeDefined();
    await lock?.release();
  }
});

test('an owner on another host counts as alive', async () => {
  const { pid: deadPid } = spawnSync(process.execPath, ['--version']);
  await writeFile(join(folder, `.x.00000000-${deadPid}-1-1.lock`), '');
  expect(await lockFile(path)).toBeUndefined();
});
