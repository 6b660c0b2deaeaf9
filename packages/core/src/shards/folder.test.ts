import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXAMPLE_SHARD } from './fixtures/changed-shard.js';
import { EXAMPLE, exampleTrace } from './fixtures/traces.js';
import { openShardFolder } from './folder.js';
import { openShardWriter, type ShardWriterOptions } from './writer.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shards-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('a folder of shards', () => {
  let many: string;
  beforeAll(async () => {
    many = await mkdtemp(join(folder, 'many-'));
    await write('b', [4, 5], EXAMPLE);
    await write('a', [1, 0, 2], EXAMPLE);
    await write('c', [], EXAMPLE);
    await write('d', [8], EXAMPLE);
    await writeFile(join(many, 'notes.txt'), '');
    await copyFile(EXAMPLE_SHARD, join(many, '.hidden.safetensors'));
  });

  async function write(name: string, indices: number[], options: ShardWriterOptions, into = many): Promise<void> {
    const writer = await openShardWriter(join(into, `${name}.safetensors`), options);
    for (const i of indices) await writer.append(exampleTrace(i, options));
    await writer.seal();
  }

  test('is one array of rows, in the order of the names, without what is hidden', async () => {
    const shards = await openShardFolder(many);
    expect(shards.shards.map(({ path }) => path.slice(-13))).toEqual(
      ['a', 'b', 'c', 'd'].map((name) => `${name}.safetensors`),
    );
    expect(shards).toMatchObject({ layers: [0, 2], hiddenSize: 3, storage: 'F16', traceCount: 6, stepCount: 14 });
    expect([...shards.rowOffsets]).toEqual([0, 6, 11, 11, 14]);
    const all = Buffer.concat([0, 1, 2, 4, 5, 8].map((i) => exampleTrace(i).hiddenStates.get(2)!));
    for (const [first, end] of [
      [0, 14],
      [0, 0],
      [3, 4],
      [5, 12],
      [6, 11],
      [11, 14],
      [14, 14],
      [13, 14],
    ] as const) {
      const rows = await shards.readRows(2, first, end);
      expect(Buffer.from(rows)).toEqual(all.subarray(first * 6, end * 6));
    }
    const into = new Uint8Array(100);
    expect((await shards.readRows(0, 4, 9, into)).buffer).toBe(into.buffer);
    await expect(shards.readRows(2, 0, 15)).rejects.toMatchObject({ code: 'ROWS_OUT_OF_RANGE' });
    await expect(shards.readRows(2, 0, 14, new Uint8Array(83))).rejects.toMatchObject({ code: 'BUFFER_TOO_SMALL' });
    await shards.close();
  });

  test.each<[string, Partial<ShardWriterOptions>, string]>([
    ['another model', { metadata: { ...EXAMPLE.metadata, model_fingerprint: '9'.repeat(64) } }, 'model_fingerprint'],
    ['other layers', { layers: [0, 1] }, 'layers'],
    ['another hidden size', { hiddenSize: 4 }, 'hidden_size'],
    ['another storage', { storage: 'BF16' }, 'storage'],
  ])('with a shard of %s is refused', async (_, change, what) => {
    const mixed = await mkdtemp(join(folder, 'mixed-'));
    await write('a', [1], EXAMPLE, mixed);
    await write('b', [2], { ...EXAMPLE, ...change }, mixed);
    await expect(openShardFolder(mixed)).rejects.toMatchObject({
      code: 'SHARDS_DISAGREE',
      where: join(mixed, 'b.safetensors'),
      message: expect.stringContaining(what),
    });
  });

  test('without shards, or that is none, has its own error', async () => {
    const empty = await mkdtemp(join(folder, 'empty-'));
    await expect(openShardFolder(empty)).rejects.toMatchObject({ code: 'NO_SHARDS' });
    await expect(openShardFolder(join(empty, 'missing'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(openShardFolder(EXAMPLE_SHARD)).rejects.toMatchObject({ code: 'NOT_A_FOLDER' });
  });
});
