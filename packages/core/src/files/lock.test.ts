import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rename, rm, rmdir, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { lockFile } from './lock.js';
import { newOwnerTag } from './owner.js';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lock-'));
  path = join(folder, 'x');
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  await rm(folder, { recursive: true });
});

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

describe('a process on another host', () => {
  const LEASE_MS = 180_000;
  const elsewhere = '.x.00000000-4711-1-1.lock';

  /** A claim of another host that was last touched so long ago. */
  async function claimElsewhere({ silentMs }: { silentMs: number }): Promise<void> {
    const claim = join(folder, elsewhere);
    await writeFile(claim, '');
    const { mtimeMs } = await stat(claim);
    await utimes(claim, mtimeMs / 1000, (mtimeMs - silentMs) / 1000);
  }

  test.each([0, LEASE_MS - 60_000, -LEASE_MS])('that touched its claim %i ms ago holds the lock', async (silentMs) => {
    await claimElsewhere({ silentMs });
    expect(await lockFile(path)).toBeUndefined();
    expect(await readdir(folder)).toEqual([elsewhere]);
  });

  test('that was silent for the lease has lost it, and is shut out before that', async () => {
    await claimElsewhere({ silentMs: LEASE_MS });
    const shutOut = vi.fn(async () => expect(await readdir(folder)).toContain(elsewhere));
    const lock = await lockFile(path, { shutOut });
    expect(shutOut).toHaveBeenCalledOnce();
    expect(await readdir(folder)).not.toContain(elsewhere);
    await lock?.release();
    expect(await readdir(folder)).toEqual([]);
    await (await lockFile(path, { shutOut }))?.release();
    expect(shutOut).toHaveBeenCalledOnce();
  });

  test('that was silent is left for the next taker to shut out by one that fails to, or is refused itself', async () => {
    await claimElsewhere({ silentMs: LEASE_MS });
    const shutOut = () => Promise.reject(new Error('disk'));
    await expect(lockFile(path, { shutOut })).rejects.toThrow('disk');
    expect(await readdir(folder)).toEqual([elsewhere]);
    const alive = '.x.11111111-1-1-1.lock';
    await writeFile(join(folder, alive), '');
    expect(await lockFile(path, { shutOut })).toBeUndefined();
    expect((await readdir(folder)).sort()).toEqual([elsewhere, alive]);
  });

  test.each([-1, 1])('is judged by the clock of the file system, not of this host (%i days off)', async (days) => {
    vi.spyOn(Date, 'now').mockReturnValue(Date.now() + days * 86_400_000);
    await claimElsewhere({ silentMs: 60_000 });
    expect(await lockFile(path)).toBeUndefined();
    await claimElsewhere({ silentMs: LEASE_MS });
    expect(await lockFile(path)).toBeDefined();
  });
});

describe('a holder', () => {
  const ownClaim = async () => join(folder, (await readdir(folder))[0]!);

  test('touches its claim at every beat until it releases it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const lock = await lockFile(path, { beatMs: 1000 });
    const claim = await ownClaim();
    for (let beat = 0; beat < 3; beat++) {
      await utimes(claim, 1, 1);
      while (vi.getTimerCount() === 0) await stat(claim);
      vi.advanceTimersByTime(1000);
      while ((await stat(claim)).mtimeMs === 1000) await lock?.assertHeld();
    }
    while (vi.getTimerCount() === 0) await stat(claim);
    await lock?.release();
    expect(vi.getTimerCount()).toBe(0);
    expect(await readdir(folder)).toEqual([]);
  });

  test('goes on beating where the disk did not answer once, and stops where its claim is gone', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const lock = await lockFile(path, { beatMs: 1000 });
    const claim = await ownClaim();
    await rename(claim, join(folder, 'away'));
    await mkdir(claim);
    vi.advanceTimersByTime(1000);
    while (vi.getTimerCount() === 0) await stat(claim);
    await rmdir(claim);
    vi.advanceTimersByTime(1000);
    await expect(lock?.assertHeld()).rejects.toMatchObject({ code: 'LOCK_LOST', kind: 'retryable' });
    await lock?.release();
    expect(await readdir(folder)).toEqual(['away']);
  });

  test('may end without releasing: beating keeps no process alive', () => {
    const library = new URL('../../dist/files/index.js', import.meta.url);
    const program = `
      import { lockFile } from ${JSON.stringify(library.href)};
      if (await lockFile(${JSON.stringify(path)})) process.stdout.write('locked');`;
    const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
      timeout: 15_000,
    });
    expect([status, stdout.toString()]).toEqual([0, 'locked']);
  });
});
