import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeManifest, type Manifest, openRun, shardPath } from './manifest.js';
import { openRoots, type Roots } from './roots.js';

const MANIFEST: Manifest = {
  format: 'scorer.run',
  version: 1,
  model: { path: 'model', name: 'model', fingerprint: '1'.repeat(64), hidden_size: 192 },
  input: 'pre/raw.jsonl',
  output: 'hs/raw',
  layers: [5],
  storage: 'F16',
  device: 'auto',
  shards: [
    { start: 3, end: 8, first_byte: 0, end_byte: 90, records: 5, tokens: 40, steps: 9, fingerprint: '2'.repeat(64) },
  ],
};

let roots: Roots;
beforeEach(async () => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'run-')));
  await mkdir(join(folder, 'hs'));
  roots = await openRoots([folder]);
});
afterEach(() => rm(roots[0]!, { recursive: true }));

const write = (text: string): Promise<void> => writeFile(join(roots[0]!, 'hs/raw.run.json'), text);

test('a run is named by the content of its file, so that one that was changed is another', async () => {
  const { id, text } = encodeManifest(MANIFEST);
  expect(id).toMatch(/^[0-9a-f]{16}$/);
  await write(text);
  const run = await openRun({ id, file: 'hs/raw.run.json' }, roots);
  expect(run).toMatchObject({ id, manifest: MANIFEST, output: join(roots[0]!, 'hs/raw') });
  expect(shardPath(run, MANIFEST.shards[0]!)).toBe(join(roots[0]!, 'hs/raw_hiddenstates_3_8.safetensors'));

  await write(text.replace('"end":8', '"end":9'));
  await expect(openRun({ id, file: 'hs/raw.run.json' }, roots)).rejects.toMatchObject({ code: 'RUN_FILE_CHANGED' });
  for (const change of [{ layers: [4] }, { storage: 'F32' as const }, { output: 'hs/other' }]) {
    expect(encodeManifest({ ...MANIFEST, ...change }).id).not.toBe(id);
  }
});

describe('a run file is refused', () => {
  test.each([
    ['that is no JSON', 'x'],
    ['with a field that is unknown', JSON.stringify({ ...MANIFEST, command: 'rm' })],
    ['without shards', JSON.stringify({ ...MANIFEST, shards: [] })],
    ['with a negative line', JSON.stringify({ ...MANIFEST, shards: [{ ...MANIFEST.shards[0], start: -1 }] })],
    ['that belongs to another output', JSON.stringify({ ...MANIFEST, output: 'elsewhere/raw' })],
  ])('%s', async (_, text) => {
    await write(text);
    const id = createHash('sha256').update(text).digest('hex').slice(0, 16);
    await expect(openRun({ id, file: 'hs/raw.run.json' }, roots)).rejects.toMatchObject({ code: 'RUN_FILE_INVALID' });
  });

  test('that lies outside of the roots', async () => {
    await expect(openRun({ id: '', file: '../raw.run.json' }, roots)).rejects.toMatchObject({ code: 'BAD_ROOT_PATH' });
  });
});
