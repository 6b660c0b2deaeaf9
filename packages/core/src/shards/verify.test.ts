import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256File } from '../files/index.js';
import { openSafetensors } from '../safetensors/index.js';
import { type Change, EXAMPLE_SHARD, writeChanged } from './fixtures/changed-shard.js';
import { verifySafetensors, verifyShard } from './verify.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shards-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** The example shard, changed. */
async function changed(...change: Change): Promise<string> {
  const path = join(folder, 'changed.safetensors');
  await writeChanged(path, ...change);
  return path;
}

describe('verify', () => {
  test('finds a whole shard and any other whole safetensors file in order', async () => {
    const bytes = (await readFile(EXAMPLE_SHARD)).length;
    const seen: number[] = [];
    const onProgress = ({ done, total }: { done: number; total: number }) => seen.push(done / total);
    expect(await verifySafetensors(EXAMPLE_SHARD, { onProgress })).toEqual({
      path: EXAMPLE_SHARD,
      kind: 'shard',
      tensors: 19,
      bytes,
    });
    expect(seen.at(-1)).toBe(1);
    const other = await changed({}, { format: 'other' });
    expect(await verifySafetensors(other)).toMatchObject({ kind: 'safetensors', tensors: 19 });
  });

  test('finds any flipped bit', async () => {
    const whole = await readFile(EXAMPLE_SHARD);
    const path = join(folder, 'flipped.safetensors');
    // Every 7th byte, so that all bits of all tensors and of the header have their turn.
    for (let at = 0; at < whole.length; at += 7) {
      const flipped = Buffer.from(whole);
      flipped[at]! ^= 1 << (at % 8);
      await writeFile(path, flipped);
      const result = await verifySafetensors(path).catch((error) => error.code);
      // A bit of the metadata's text changes what the shard says of itself, not its data.
      if (typeof result === 'object') expect(changesMetadataOnly(whole, at)).toBe(true);
      else expect(result).toMatch(/^(SHARD|SAFETENSORS)_/);
    }
  });

  function changesMetadataOnly(whole: Buffer, at: number): boolean {
    return at >= 8 && at < whole.indexOf('"hidden_states');
  }

  /** A tensor changed, with the checksum that belongs to it. */
  async function consistent(name: string, data: Uint8Array | Int32Array): Promise<string> {
    const path = await changed({ [name]: { data } });
    const file = await openSafetensors(path);
    await file.close();
    return changed({ [name]: { data } }, { data_sha256: await sha256File(path, { start: file.dataStart }) });
  }

  test.each([
    ['a NaN', 'SHARD_NOT_FINITE', 'hidden_states.2', new Uint8Array(36).fill(0xff, 20, 22)],
    ['an infinity', 'SHARD_NOT_FINITE', 'hidden_states.0', new Uint8Array(36).fill(0x7c, 35)],
    ['a step after the last token', 'SHARD_POSITION_INVALID', 'step_positions', Int32Array.of(1, 3, 7, 1, 3, 1)],
    ['steps that do not ascend', 'SHARD_POSITION_INVALID', 'step_positions', Int32Array.of(1, 1, 5, 1, 3, 1)],
    ['an unknown region', 'SHARD_REGION_INVALID', 'step_regions', Uint8Array.of(0, 1, 2, 0, 1, 0)],
    ['text that is not UTF-8', 'SHARD_TEXT_INVALID', 'ground_truth', Uint8Array.of(48, 49, 0xff, 51)],
  ])('finds %s under a right checksum', async (_, code, name, data) => {
    const path = await consistent(name, data);
    await expect(verifyShard(path)).rejects.toMatchObject({ code, where: expect.stringContaining(path) });
  });

  test('names the row of what is not finite', async () => {
    const path = await consistent('hidden_states.2', new Uint8Array(36).fill(0xff, 20, 22));
    await expect(verifyShard(path)).rejects.toThrow('hidden_states.2 is not finite in row 3');
  });

  test('stops when the signal is aborted', async () => {
    await expect(verifyShard(EXAMPLE_SHARD, { signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
  });
});
