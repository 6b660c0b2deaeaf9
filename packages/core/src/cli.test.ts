import { spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeSafetensors } from './safetensors/index.js';
import { EXAMPLE_SHARD } from './shards/fixtures/changed-shard.js';

const BIN = fileURLToPath(new URL('../bin/scorer-shards.js', import.meta.url));

function scorerShards(...args: string[]): { status: number | null; stdout: string; errors: string[] } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], { encoding: 'utf8' });
  return { status, stdout, errors: stderr.split('\n').filter((line) => line.startsWith('error[')) };
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scorer-shards-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('scorer-shards verify', () => {
  test('lists the files of a folder that are whole, shards and others', async () => {
    await copyFile(EXAMPLE_SHARD, join(folder, 'b.safetensors'));
    await writeSafetensors(join(folder, 'a.safetensors'), [
      { name: 'x', dtype: 'U8', shape: [1], data: new Uint8Array(1) },
    ]);
    const { status, stdout, errors } = scorerShards('verify', folder, '--json');
    expect([status, errors]).toEqual([0, []]);
    expect(JSON.parse(stdout)).toMatchObject({
      files: [
        { path: join(folder, 'a.safetensors'), kind: 'safetensors', tensors: 1 },
        { path: join(folder, 'b.safetensors'), kind: 'shard', tensors: 19 },
      ],
    });
  });

  test('has one error line for each bad file, and exit code 3', async () => {
    const whole = await readFile(EXAMPLE_SHARD);
    const flipped = Buffer.from(whole);
    flipped[flipped.length - 1]! ^= 1;
    await writeFile(join(folder, 'a.safetensors'), whole.subarray(0, -1));
    await writeFile(join(folder, 'b.safetensors'), whole);
    await writeFile(join(folder, 'c.safetensors'), flipped);
    const { status, stdout, errors } = scorerShards('verify', folder);
    expect([status, stdout]).toEqual([3, '']);
    expect(errors).toEqual([
      expect.stringContaining(
        `error[SAFETENSORS_TRUNCATED]: 1 of its 2508 bytes are missing, ${join(folder, 'a.safetensors')}, `,
      ),
      expect.stringContaining(
        `error[SHARD_CHECKSUM]: the data do not match their checksum, ${join(folder, 'c.safetensors')}, `,
      ),
    ]);
  });

  test('of a missing path, an empty folder or no path fails by its kind', () => {
    expect(scorerShards('verify', join(folder, 'missing'))).toMatchObject({ status: 3, stdout: '' });
    expect(scorerShards('verify', folder).errors[0]).toContain('error[NO_SHARDS]');
    expect(scorerShards('verify')).toMatchObject({ status: 2, stdout: '' });
  });
});

describe('scorer-shards stat', () => {
  test('counts what a shard and a folder hold', async () => {
    const path = join(folder, 'a.safetensors');
    await copyFile(EXAMPLE_SHARD, path);
    const counts = {
      model: 'tiny',
      layers: [0, 2],
      hidden_size: 3,
      storage: 'F16',
      traces: 4,
      labels: { right: 2, wrong: 2 },
      questions: 4,
      steps: 6,
      reasoning_steps: 3,
      tokens: 16,
      bytes: 2508,
    };
    const shard = JSON.parse(scorerShards('stat', path, '--json').stdout);
    expect(shard).toMatchObject({ kind: 'shard', path, ...counts });
    expect(shard.tensors).toContainEqual({ name: 'hidden_states.2', dtype: 'F16', shape: [6, 3] });
    const whole = JSON.parse(scorerShards('stat', folder, '--json').stdout);
    expect(whole).toMatchObject({ kind: 'folder', path: folder, ...counts, shards: [{ path, traces: 4, steps: 6 }] });
    expect(scorerShards('stat', folder).stdout).toContain('traces  4 (2 right, 2 wrong) of 4 questions');
  });
});

describe('scorer-shards split and merge', () => {
  test('give back the same traces, and refuse what stands already', async () => {
    const parts = join(folder, 'part');
    const args = ['split', EXAMPLE_SHARD, '--output_path', parts, '--shard_size', '3'];
    expect(scorerShards(...args).status).toBe(0);
    expect(await readdir(folder)).toEqual(['part_hiddenstates_0_3.safetensors', 'part_hiddenstates_3_4.safetensors']);
    expect(scorerShards('verify', folder).status).toBe(0);
    expect(scorerShards(...args)).toMatchObject({ status: 2, errors: [expect.stringContaining('SHARD_EXISTS')] });
    expect(scorerShards(...args, '--overwrite').status).toBe(0);

    const merged = join(folder, 'a new folder', 'merged.safetensors');
    const files = (await readdir(folder)).map((name) => join(folder, name));
    expect(scorerShards('merge', ...files.toReversed(), '--output-file', merged).status).toBe(0);
    const [before, after] = await Promise.all([EXAMPLE_SHARD, merged].map((path) => readFile(path)));
    // The data are those of the shard that was split; the metadata tell of another origin.
    expect(after!.subarray(-716)).toEqual(before!.subarray(-716));
    expect(scorerShards('verify', merged).status).toBe(0);
    expect(scorerShards('merge', folder, merged, '--output-file', join(folder, 'again.safetensors'))).toMatchObject({
      status: 3,
      errors: [expect.stringContaining('SHARDS_OVERLAP')],
    });
  });
});
