import { spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EXAMPLE_SHARD } from './fixtures/changed-shard.js';
import { EXAMPLE, exampleTrace } from './fixtures/traces.js';
import { partialPath } from './partial.js';
import type { TraceStates } from './trace.js';
import { openShardWriter, removePartial } from './writer.js';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shards-'));
  path = join(folder, 'x.safetensors');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

/** Appends what is missing of the traces 0 to 3 and seals; the result must be the unbroken shard. */
async function finish(): Promise<void> {
  const writer = await openShardWriter(path, EXAMPLE);
  for (const i of [0, 1, 2, 3]) if (!writer.finished.has(i)) await writer.append(exampleTrace(i));
  await writer.seal();
  expect(await readFile(path)).toEqual(await readFile(EXAMPLE_SHARD));
  expect(await readdir(folder)).toEqual(['x.safetensors']);
}

/** A partial that holds the given traces, in this order. */
async function partialOf(...indices: number[]): Promise<Buffer> {
  const writer = await openShardWriter(path, EXAMPLE);
  for (const i of indices) await writer.append(exampleTrace(i));
  await writer.close();
  return readFile(partialPath(path));
}

async function finishedAfter(partial: Uint8Array): Promise<number[]> {
  await writeFile(partialPath(path), partial);
  const writer = await openShardWriter(path, EXAMPLE);
  const finished = [...writer.finished];
  await writer.close();
  return finished;
}

describe('a shard', () => {
  test.each([[[0, 1, 2, 3]], [[3, 1, 0, 2]]])(
    'has the same bytes for traces appended in the order %j',
    async (order) => {
      const writer = await openShardWriter(path, EXAMPLE);
      for (const i of order) await writer.append(exampleTrace(i));
      const summary = await writer.seal();
      const bytes = await readFile(path);
      expect(bytes).toEqual(await readFile(EXAMPLE_SHARD));
      expect(summary).toMatchObject({ path, traces: 4, steps: 6, tokens: 16, bytes: bytes.length });
    },
  );

  test('has the same bytes for traces appended all at once, with few syncs', async () => {
    const syncs = await countCalls('datasync', async () => {
      const writer = await openShardWriter(path, EXAMPLE);
      await Promise.all([2, 0, 3, 1].map((i) => writer.append(exampleTrace(i))));
      expect([...writer.finished].sort()).toEqual([0, 1, 2, 3]);
      await writer.seal();
    });
    expect(await readFile(path)).toEqual(await readFile(EXAMPLE_SHARD));
    // The first alone, because it is on its way when the others come.
    expect(syncs).toBe(2);
  });

  test('may be without any trace', async () => {
    const writer = await openShardWriter(path, EXAMPLE);
    expect(await writer.seal()).toMatchObject({ traces: 0, steps: 0 });
  });

  test('is not visible before it is sealed, and an aborted seal keeps the partial', async () => {
    await partialOf(1, 2);
    const writer = await openShardWriter(path, EXAMPLE);
    await expect(writer.seal({ signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
    await writer.close();
    expect((await readdir(folder)).filter((name) => !name.startsWith('.'))).toEqual([]);
    await finish();
  });
});

describe('a killed writer', () => {
  test('at every operation on the disk: all that was acknowledged is there, and the end has the same bytes', async () => {
    const program = fileURLToPath(new URL('../../dist/shards/fixtures/write-and-die.js', import.meta.url));
    let killed = 0;
    for (let n = 1; ; n++) {
      const { signal, status, stdout, stderr } = spawnSync(process.execPath, [program, path, String(n)]);
      const acknowledged = stdout.toString().trim().split('\n').filter(Boolean).map(Number);
      const shardExists = (await readdir(folder)).includes('x.safetensors');
      if (shardExists) {
        expect(await readFile(path)).toEqual(await readFile(EXAMPLE_SHARD));
        await removePartial(path);
      } else {
        const writer = await openShardWriter(path, EXAMPLE);
        expect([...writer.finished]).toEqual(expect.arrayContaining(acknowledged));
        await writer.close();
        await finish();
      }
      if (signal === null) {
        expect(status, stderr.toString()).toBe(0);
        expect(acknowledged.sort()).toEqual([0, 1, 2, 3]);
        break;
      }
      killed += 1;
      await rm(path);
    }
    expect(killed).toBeGreaterThan(50);
  });

  test('leaves a log that may be cut at any byte of its last trace', async () => {
    const before = await partialOf(0, 2);
    const whole = await partialOf(1);
    for (let length = before.length; length < whole.length; length++) {
      expect(await finishedAfter(whole.subarray(0, length)), `${length} bytes`).toEqual([0, 2]);
    }
    expect(await finishedAfter(whole)).toEqual([0, 2, 1]);
    expect(await finishedAfter(Buffer.concat([whole, Buffer.alloc(100)]))).toEqual([0, 2, 1]);
    expect(await finishedAfter(whole.subarray(0, -1))).toEqual([0, 2]);
    await finish();
  });

  test('leaves a log that may be cut at any byte of its beginning', async () => {
    const whole = await partialOf();
    for (let length = 0; length <= whole.length; length++) {
      expect(await finishedAfter(whole.subarray(0, length))).toEqual([]);
    }
    await finish();
  });
});

test('a trace with any one byte wrong is not taken from the partial', async () => {
  const before = await partialOf(0, 2);
  const whole = await partialOf(1);
  for (let at = before.length; at < whole.length; at++) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 0x10;
    expect(await finishedAfter(damaged), `byte ${at}`).toEqual([0, 2]);
  }
  await finish();
});

test('a partial of random bytes is begun anew', async () => {
  expect(await finishedAfter(Buffer.from(Array.from({ length: 500 }, (_, i) => i * 97)))).toEqual([]);
  await finish();
});

test('a full disk at any operation is told with the path; what was acknowledged stays', async () => {
  for (let n = 1; ; n++) {
    const acknowledged: number[] = [];
    const failure = await failOperation(n, async () => {
      const writer = await openShardWriter(path, EXAMPLE);
      try {
        for (const i of [3, 1, 0, 2]) {
          await writer.append(exampleTrace(i));
          acknowledged.push(i);
        }
        await writer.seal();
      } catch (error) {
        // Once the disk has failed, nothing is acknowledged any more.
        if (acknowledged.length < 4) await expect(writer.append(exampleTrace(9))).rejects.toBe(error);
        throw error;
      } finally {
        await writer.close();
      }
    });
    if (failure === undefined) {
      expect(n).toBeGreaterThan(40);
      break;
    }
    expect(failure).toMatchObject({ code: 'DISK_FULL', kind: 'retryable', message: expect.stringContaining(folder) });
    const visible = (await readdir(folder)).filter((name) => !name.startsWith('.'));
    if (visible.length > 0) {
      expect(await readFile(path)).toEqual(await readFile(EXAMPLE_SHARD));
      await removePartial(path);
    } else {
      const writer = await openShardWriter(path, EXAMPLE);
      expect([...writer.finished]).toEqual(expect.arrayContaining(acknowledged));
      await writer.close();
      await finish();
    }
    await rm(path);
  }
});

describe('one writer', () => {
  test('at a time: another is refused and may try again', async () => {
    const writer = await openShardWriter(path, EXAMPLE);
    await expect(openShardWriter(path, EXAMPLE)).rejects.toMatchObject({ code: 'SHARD_LOCKED', kind: 'retryable' });
    await writer.close();
    await (await openShardWriter(path, EXAMPLE)).close();
  });

  test('takes over from one that was killed', async () => {
    const { pid: deadPid } = spawnSync(process.execPath, ['--version']);
    const writer = await openShardWriter(path, EXAMPLE);
    const lock = (await readdir(folder)).find((name) => name.endsWith('.lock'))!;
    await copyFile(join(folder, lock), join(folder, lock.replace(`-${process.pid}-`, `-${deadPid}-`)));
    await writer.close();
    await finish();
  });
});

describe('what stands already', () => {
  const other: [string, Partial<typeof EXAMPLE>][] = [
    ['other layers', { layers: [0, 1] }],
    ['another hidden size', { hiddenSize: 4 }],
    ['another storage', { storage: 'BF16' }],
    ['another input', { metadata: { ...EXAMPLE.metadata, input_fingerprint: '3'.repeat(64) } }],
    ['another device', { metadata: { ...EXAMPLE.metadata, device: 'cuda' } }],
  ];

  test.each(other)('a partial of %s is refused and kept, or replaced when told to', async (_, change) => {
    const partial = await partialOf(0, 1);
    const options = { ...EXAMPLE, ...change };
    await expect(openShardWriter(path, options)).rejects.toMatchObject({ code: 'PARTIAL_MISMATCH', kind: 'usage' });
    expect(await readFile(partialPath(path))).toEqual(partial);
    const writer = await openShardWriter(path, { ...options, overwrite: 'replace' });
    expect(writer.finished.size).toBe(0);
    await writer.close();
  });

  test('a partial of the same goes on, also with layers and metadata in another order', async () => {
    await partialOf(0, 1);
    const metadata = Object.fromEntries(Object.entries(EXAMPLE.metadata).reverse()) as typeof EXAMPLE.metadata;
    const writer = await openShardWriter(path, { ...EXAMPLE, layers: [0, 2], metadata, overwrite: 'replace' });
    expect([...writer.finished]).toEqual([0, 1]);
    await writer.close();
  });

  test('a shard is refused, or replaced when told to, and stands until then', async () => {
    await finish();
    await expect(openShardWriter(path, EXAMPLE)).rejects.toMatchObject({ code: 'SHARD_EXISTS', kind: 'usage' });
    const writer = await openShardWriter(path, { ...EXAMPLE, overwrite: 'replace' });
    await writer.append(exampleTrace(5));
    expect(await readFile(path)).toEqual(await readFile(EXAMPLE_SHARD));
    expect(await writer.seal()).toMatchObject({ traces: 1 });
  });
});

describe('a trace is refused before anything is written', () => {
  const wrong: [string, (trace: TraceStates) => TraceStates][] = [
    ['with a negative index', (trace) => ({ ...trace, traceIndex: -1 })],
    ['with a region too few', (trace) => ({ ...trace, stepRegions: trace.stepRegions.subarray(1) })],
    ['with a region that is unknown', (trace) => ({ ...trace, stepRegions: Uint8Array.of(0, 1, 2) })],
    ['with steps that do not ascend', (trace) => ({ ...trace, stepPositions: Int32Array.of(1, 1, 2) })],
    ['with a step after the last token', (trace) => ({ ...trace, stepPositions: Int32Array.of(1, 2, 7) })],
    ['with a layer too few', (trace) => ({ ...trace, hiddenStates: new Map([...trace.hiddenStates].slice(1)) })],
    [
      'with another layer',
      ({ hiddenStates: [[, bytes] = [0, new Uint8Array()]] = [] as never, ...trace }) => ({
        ...trace,
        hiddenStates: new Map([
          [0, bytes],
          [1, bytes],
        ]),
      }),
    ],
    [
      'with a row too few',
      (trace) => ({
        ...trace,
        hiddenStates: new Map([...trace.hiddenStates].map(([layer, bytes]) => [layer, bytes.subarray(6)])),
      }),
    ],
    ['with half a character', (trace) => ({ ...trace, texts: { ...trace.texts, question: '\ud800' } })],
  ];

  test.each(wrong)('%s', async (_, change) => {
    const before = await partialOf(1);
    const writer = await openShardWriter(path, EXAMPLE);
    await expect(writer.append(change(exampleTrace(0)))).rejects.toMatchObject({ code: 'SHARD_TRACE_INVALID' });
    await expect(writer.append(exampleTrace(1))).rejects.toMatchObject({ code: 'SHARD_TRACE_REPEATED' });
    await writer.close();
    await expect(writer.append(exampleTrace(2))).rejects.toMatchObject({ code: 'SHARD_WRITER_CLOSED' });
    expect(await readFile(partialPath(path))).toEqual(before);
  });
});

async function handlePrototype(): Promise<Record<string, (...args: unknown[]) => Promise<unknown>>> {
  const handle = await open(folder, 'r');
  await handle.close();
  return Object.getPrototypeOf(handle);
}

async function countCalls(method: string, action: () => Promise<void>): Promise<number> {
  const spy = vi.spyOn(await handlePrototype(), method);
  await action();
  return spy.mock.calls.length;
}

/** Runs `action` with the disk full at its n-th write or sync; returns what it threw. */
async function failOperation(n: number, action: () => Promise<void>): Promise<unknown> {
  const prototype = await handlePrototype();
  let count = 0;
  for (const name of ['write', 'sync', 'datasync']) {
    const original = prototype[name]!;
    vi.spyOn(prototype, name).mockImplementation(async function (this: unknown, ...args) {
      count += 1;
      if (count !== n) return original.apply(this, args);
      if (name === 'write') await original.call(this, args[0], args[1], Math.floor(Number(args[2]) / 2), args[3]);
      throw Object.assign(new Error(`ENOSPC: injected, ${name}`), { code: 'ENOSPC', syscall: name });
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
