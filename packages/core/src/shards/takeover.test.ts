import { mkdtemp, open, readdir, readFile, rm, utimes } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EXAMPLE_SHARD } from './fixtures/changed-shard.js';
import { EXAMPLE, exampleTrace } from './fixtures/traces.js';
import type { ShardWriter } from './writer.js';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shards-'));
  path = join(folder, 'x.safetensors');
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.doUnmock('node:os');
  await rm(folder, { recursive: true });
});

/** The writer of a shard as a process on the named host opens it. */
async function openOn(host: string): Promise<ShardWriter> {
  vi.resetModules();
  vi.doMock('node:os', () => ({ hostname: () => host }));
  const { openShardWriter } = await import('./writer.js');
  return openShardWriter(path, EXAMPLE);
}

/** No beat of the holder arrives for longer than the lease: another host takes the shard over. */
async function takeOver(): Promise<ShardWriter> {
  const claim = (await readdir(folder)).find((name) => name.endsWith('.lock'))!;
  await utimes(join(folder, claim), 1, 1);
  return openOn('other');
}

async function finish(writer: ShardWriter): Promise<void> {
  for (const i of [0, 1, 2, 3]) if (!writer.finished.has(i)) await writer.append(exampleTrace(i));
  await writer.seal();
  expect(await readFile(path)).toEqual(await readFile(EXAMPLE_SHARD));
}

/** Lets something happen once, right before the next operation of this name. */
async function justBefore(operation: 'write' | 'sync', happen: () => Promise<void>): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.close();
  const prototype = Object.getPrototypeOf(handle);
  const original = prototype[operation];
  const spy = vi.spyOn(prototype, operation).mockImplementationOnce(async function (this: unknown, ...args: unknown[]) {
    spy.mockRestore();
    await happen();
    return original.apply(this, args);
  });
}

const LOST = { code: 'LOCK_LOST', kind: 'retryable', message: expect.stringContaining('x.safetensors') };

test('a shard that another host writes is refused while its writer beats', async () => {
  const writer = await openOn(hostname());
  await expect(openOn('other')).rejects.toMatchObject({ code: 'SHARD_LOCKED', kind: 'retryable' });
  await writer.close();
});

describe('a writer that was frozen past its lease', () => {
  test('finds out before it appends; the other has all that it acknowledged', async () => {
    const frozen = await openOn(hostname());
    await frozen.append(exampleTrace(2));
    const other = await takeOver();
    expect([...other.finished]).toEqual([2]);
    await expect(frozen.append(exampleTrace(0))).rejects.toMatchObject(LOST);
    await frozen.close();
    await finish(other);
    expect(await readdir(folder)).toEqual(['x.safetensors']);
  });

  test('finds out before it seals, and leaves the other its partial', async () => {
    const frozen = await openOn(hostname());
    for (const i of [0, 1, 2]) await frozen.append(exampleTrace(i));
    const other = await takeOver();
    await expect(frozen.seal()).rejects.toMatchObject(LOST);
    await frozen.close();
    await finish(other);
    expect(await readdir(folder)).toEqual(['x.safetensors']);
  });

  test('between its last look at the lock and its write, writes into a file of its own', async () => {
    const frozen = await openOn(hostname());
    await frozen.append(exampleTrace(2));
    let other: ShardWriter | undefined;
    await justBefore('write', async () => {
      other = await takeOver();
      await other.append(exampleTrace(3));
    });
    await frozen.append(exampleTrace(1));
    await expect(frozen.append(exampleTrace(0))).rejects.toMatchObject(LOST);
    await frozen.close();
    await finish(other!);
    expect(await readdir(folder)).toEqual(['x.safetensors']);
  });

  test('between its last look at the lock and the renaming of its shard, has nothing to rename', async () => {
    const frozen = await openOn(hostname());
    for (const i of [0, 1, 2]) await frozen.append(exampleTrace(i));
    let other: ShardWriter | undefined;
    await justBefore('sync', async () => {
      other = await takeOver();
    });
    await expect(frozen.seal()).rejects.toMatchObject(LOST);
    expect(await readdir(folder)).not.toContain('x.safetensors');
    await frozen.close();
    expect([...other!.finished].sort()).toEqual([0, 1, 2]);
    await finish(other!);
    expect(await readdir(folder)).toEqual(['x.safetensors']);
  });
});
