import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { estimateMemory } from '../memory/estimate.js';
import { loadModel } from '../model/load-model.js';
import { type ExtractOptions, extract } from './extract.js';
import type { ExtractEvent } from './run-progress.js';

const MODEL = fileURLToPath(new URL('../../../../apps/demo/data/model', import.meta.url));
const STEPS = fileURLToPath(new URL('./fixtures/steps.jsonl', import.meta.url));
const BIN = fileURLToPath(new URL('../../bin/scorer-hidden-states.js', import.meta.url));

let folder: string;
let options: ExtractOptions;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'extract-groups-'));
  options = { model: MODEL, inputPath: STEPS, outputPath: join(folder, 'grouped', 'tiny'), device: 'cpu' };
});

afterEach(() => rm(folder, { recursive: true }));

/** The shards of a run with all layers in memory. */
async function whole(more: Partial<ExtractOptions> = {}): Promise<Buffer[]> {
  const { shards } = await extract({ ...options, outputPath: join(folder, 'whole', 'tiny'), ...more });
  return Promise.all(shards.map(({ path }) => readFile(path)));
}

describe('shards of a model in groups of layers', () => {
  test.each([2, 5])('have the same bytes with %i groups, and nothing lies beside them', async (layerGroups) => {
    const more: Partial<ExtractOptions> = { layers: '0,2,3,-1', shardSize: 3 };
    const { shards } = await extract({ ...options, ...more, layerGroups });
    expect(await Promise.all(shards.map(({ path }) => readFile(path)))).toEqual(await whole(more));
    expect((await readdir(join(folder, 'grouped'))).length).toBe(2);
  });

  test('that were interrupted go on to the same bytes, and what was stored is not computed again', async () => {
    const stop = new AbortController();
    const onEvent = ({ event }: ExtractEvent): void => {
      if (event === 'trace_done') stop.abort();
    };
    const run = extract({ ...options, layerGroups: 2, signal: stop.signal, onEvent });
    await expect(run).rejects.toThrow(/abort/i);
    const resumed = await extract({ ...options, layerGroups: 3 });
    expect(resumed.stored).toBeLessThan(5);
    expect([await readFile(resumed.shards[0]!.path)]).toEqual(await whole());
  });

  test('lack a trace that fails, as without groups', async () => {
    const lines = (await readFile(STEPS, 'utf8')).trim().split('\n');
    const inputPath = join(folder, 'edited.jsonl');
    const unusable = JSON.stringify({ ...JSON.parse(lines[1]!), extracted_position: [9999] });
    await writeFile(inputPath, [lines[0], unusable, ...lines.slice(2)].map((line) => `${line}\n`).join(''));
    const more: Partial<ExtractOptions> = { inputPath, maxFailures: { count: 1 } };
    const { shards, failures } = await extract({ ...options, ...more, layerGroups: 2 });
    expect(failures).toBe(1);
    expect(await readFile(`${shards[0]!.path}.failures.json`, 'utf8')).toContain('POSITION_BEYOND_TOKENS');
    expect([await readFile(shards[0]!.path)]).toEqual(await whole(more));
  });

  test('have the confidence of tokens too', async () => {
    const more: Partial<ExtractOptions> = { confidence: { topK: 4 }, layers: '2' };
    const { shards } = await extract({ ...options, ...more, layerGroups: 2 });
    expect([await readFile(shards[0]!.path)]).toEqual(await whole(more));
  });
});

test('with auto a model that fits is in memory at once, and what does not is told', async () => {
  const messages: string[] = [];
  const onInfo = (message: string): void => void messages.push(message);
  await extract({ ...options, layerGroups: 'auto', onInfo });
  expect(messages).toEqual([expect.stringMatching(/^memory: about .* for the model/)]);

  const { model } = estimateMemory(await loadModel(MODEL), { layers: [5], compute: 'float32', device: 'cpu' });
  const tooLittle = { outputPath: join(folder, 'none', 'tiny'), availableMemory: model };
  await expect(extract({ ...options, ...tooLittle, layerGroups: 'auto' })).rejects.toThrow(
    /MODEL_TOO_LARGE|1 of its layers at a time/,
  );
});

test('progress counts the layers that are computed of traces that are not done', async () => {
  const done: number[] = [];
  await extract({ ...options, layerGroups: 5, onProgress: ({ work }) => done.push(work?.done ?? 0) });
  expect(done).toEqual(done.toSorted((a, b) => a - b));
  // Five traces, of each of which every group adds its part.
  expect(new Set(done).size).toBeGreaterThan(2 * 5);
});

describe('--layer-groups', () => {
  const run = (model: string, groups: string) =>
    spawnSync(
      process.execPath,
      [
        ...[BIN, '--model-name', model, '--input-path', STEPS, '--output-path', join(folder, 'cli', 'tiny')],
        ...['--device', 'cpu', '--layer-groups', groups],
      ],
      { encoding: 'utf8' },
    );

  test('says what the groups take and how long their loading, and gives the same shard', async () => {
    const { status, stderr } = run(MODEL, '2');
    expect([status, stderr]).toEqual([0, expect.stringMatching(/^memory: layers 1–3 of 5 at a time, 2 groups, /)]);
    expect(stderr).toMatch(/groups: the first batch took \d+ s, of which loading weights \d+\.\d s \(\d+ %\)/);
    expect([await readFile(join(folder, 'cli', 'tiny_hiddenstates_0_5.safetensors'))]).toEqual(await whole());
  });

  test('takes auto or a number from 1, and for an .onnx file no more than one group', async () => {
    for (const wrong of ['0', 'all', '1.5']) {
      expect(run(MODEL, wrong)).toMatchObject({
        status: 2,
        stderr: expect.stringMatching(/^error\[BAD_OPTION\]: .*--layer-groups/),
      });
    }
  });
});
