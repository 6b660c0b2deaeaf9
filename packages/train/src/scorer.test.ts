import { spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '@scorer/core/safetensors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sampleTraces, writeShard } from './sample-shards.test.support.js';
import { loadScorer, Scorer } from './scorer.js';
import { train } from './train.js';

let folder: string;
let checkpoint: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scorer-'));
  const sample = { questions: 6, tracesPerQuestion: 6, steps: 4, hiddenSize: 8, layers: [3] };
  await writeShard(join(folder, 'a.safetensors'), sampleTraces(sample), sample);
  const options = { trainDir: folder, outDir: folder, hiddenUnits: 4, epochs: 2, device: 'cpu' } as const;
  checkpoint = (await train({ ...options, configName: 'sample' })).checkpointFolder;
});
afterAll(() => rm(folder, { recursive: true }));

describe('a scorer', () => {
  test('loads from its folder, with its configuration', async () => {
    const scorer = await Scorer.load(checkpoint);
    expect(scorer).toMatchObject({ inputSize: 8, hiddenUnits: [4] });
    expect(scorer.config).toMatchObject({ name: 'sample', feature: 'last', feature_layers: [3], regions: 'reasoning' });
    await scorer.close();
  });

  test('gives the same probabilities from its folder as from the bare file, for any number of rows', async () => {
    const [fromFolder, fromFile] = [
      await loadScorer(checkpoint),
      await loadScorer(join(checkpoint, 'scorer.safetensors')),
    ];
    const data = Float32Array.from({ length: 3000 * 8 }, (_, i) => Math.sin(i));
    const scores = await fromFolder.score({ type: 'float32', count: 3000, data });
    expect(scores).toHaveLength(3000);
    expect(scores.every((score) => score > 0 && score < 1)).toBe(true);
    expect(await fromFile.score({ type: 'float32', count: 3000, data })).toEqual(scores);
    expect(fromFile.config).toBeUndefined();
    // A second type of rows on the same scorer.
    const ones = { type: 'float16', count: 1, data: new Uint16Array(8).fill(0x3c00) } as const;
    const wideOnes = { type: 'float32', count: 1, data: new Float32Array(8).fill(1) } as const;
    expect(await fromFolder.score(ones)).toEqual(await fromFolder.score(wideOnes));
    await fromFolder.close();
    await fromFile.close();
  });

  test('ends its thread at the end of `await using`', async () => {
    const scorer = await loadScorer(checkpoint);
    const row = { type: 'float32', count: 1, data: new Float32Array(8) } as const;
    await scorer.score(row);
    await scorer[Symbol.asyncDispose]();
    await expect(scorer.score(row)).rejects.toThrow('thread ended');
  });

  test('that nobody closes lets its process end', () => {
    const script = `
      import { loadScorer } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
      const scorer = await loadScorer(${JSON.stringify(checkpoint)});
      console.log(await scorer.score({ type: 'float32', count: 1, data: new Float32Array(8) }));`;
    const args = ['--input-type=module', '-e', script];
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 });
    expect(stdout).toMatch(/^Float32Array\(1\)/);
    expect(status).toBe(0);
  });

  test('is refused without one of its tensors, with another shape, or with a foreign config.json', async () => {
    const bare = join(folder, 'bare.safetensors');
    const tensor = (name: string, shape: number[]) => ({
      name,
      dtype: 'F32' as const,
      shape,
      data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
    });
    const tensors = [tensor('net.0.weight', [4, 8]), tensor('net.0.bias', [4]), tensor('net.2.weight', [1, 5])];
    await writeSafetensors(bare, tensors);
    await expect(loadScorer(bare)).rejects.toMatchObject({
      code: 'SCORER_INVALID',
      message: expect.stringContaining('tensor net.2.weight is F32 [1, 5], not F32 [1, 4]'),
    });
    await writeSafetensors(bare, tensors.slice(1));
    await expect(loadScorer(bare)).rejects.toMatchObject({
      code: 'SCORER_INVALID',
      what: 'it is no scorer: it has no matrix net.0.weight',
    });
    await expect(loadScorer(join(folder, 'none'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });

    const foreign = await mkdtemp(join(folder, 'foreign-'));
    await copyFile(join(checkpoint, 'scorer.safetensors'), join(foreign, 'scorer.safetensors'));
    await writeFile(join(foreign, 'config.json'), '{}');
    await expect(loadScorer(foreign)).rejects.toMatchObject({ code: 'SCORER_CONFIG_INVALID' });
  });
});
