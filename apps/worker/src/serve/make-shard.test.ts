import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openShard } from '@scorer/core/shards';
import { extract, loadModel, modelFingerprint, openDecoder } from '@scorer/hidden-states';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeManifest, type Manifest, type Run, shardPath } from '../run/manifest.js';
import { planRun } from '../run/plan.js';
import { openAttempt } from './attempt.js';
import { keepDecoder } from './kept-decoder.js';
import { type MakeShardOptions, makeShard } from './make-shard.js';

const MODEL = fileURLToPath(new URL('../../../demo/data/model', import.meta.url));
const STEPS = fileURLToPath(
  new URL('../../../../packages/hidden-states/src/run/fixtures/steps.jsonl', import.meta.url),
);

let folder: string;
let run: Run;
/** The one shard of the run, as a single process makes it. */
let single: Buffer;
/** Traces that the model was asked for. */
let computed: number;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'shard-')));
  await cp(STEPS, join(folder, 'steps.jsonl'));
  await mkdir(join(folder, 'hs'));
  const input = join(folder, 'steps.jsonl');
  const manifest: Manifest = {
    format: 'scorer.run',
    version: 1,
    model: {
      path: 'model',
      name: 'model',
      fingerprint: await modelFingerprint(await loadModel(MODEL)),
      hidden_size: 192,
    },
    input: 'steps.jsonl',
    output: 'hs/tiny',
    layers: [5],
    storage: 'F16',
    device: 'cpu',
    shards: await planRun({ inputPath: input, start: 1, limit: { traces: 100 } }),
  };
  const { id } = encodeManifest(manifest);
  run = { id, manifest, file: 'hs/tiny.run.json', output: join(folder, 'hs/tiny') };
  const alone = { model: MODEL, device: 'cpu' as const, inputPath: input, start: 1, outputPath: join(folder, 'alone') };
  single = await readFile((await extract(alone)).shards[0]!.path);
  computed = 0;
});
afterEach(() => rm(folder, { recursive: true }));

const make = (options: Partial<MakeShardOptions> = {}) =>
  makeShard({
    run,
    shard: run.manifest.shards[0]!,
    worker: 'a',
    input: join(folder, 'steps.jsonl'),
    model: MODEL,
    device: 'cpu',
    threads: undefined,
    maxShardFailures: 0.1,
    signal: new AbortController().signal,
    onProgress: () => {},
    onWarning: () => {},
    async openDecoder(model, settings) {
      const decoder = await openDecoder(model, settings);
      const hiddenStates: typeof decoder.hiddenStates = (sequence) => {
        computed += 1;
        return decoder.hiddenStates(sequence);
      };
      return { ...decoder, hiddenStates };
    },
    ...options,
  });

const path = (): string => shardPath(run, run.manifest.shards[0]!);

/** Makes the shard until one of its traces is stored, and stops there. */
async function stopAfterOne(worker: string): Promise<void> {
  const controller = new AbortController();
  const stopped = make({ worker, signal: controller.signal, onProgress: () => controller.abort() });
  await expect(stopped).rejects.toThrow('aborted');
}

describe('a shard', () => {
  test('made by a worker has the bytes that a single process gives it, and nothing else is left behind', async () => {
    expect(await make()).toMatchObject({ status: 'written', traces: 4, failures: 0 });
    expect(await readFile(path())).toEqual(single);
    expect(await readdir(join(folder, 'hs'))).toEqual(['tiny_hiddenstates_1_5.safetensors']);
  });

  test('that is there is kept without asking the model, and what its maker left behind is cleared away', async () => {
    await make();
    // Of a worker that was killed between publishing the shard and clearing up.
    await openAttempt(run, run.manifest.shards[0]!, 'killed');
    computed = 0;
    expect(await make({ worker: 'b' })).toMatchObject({ status: 'kept', traces: 4, failures: 0 });
    expect(computed).toBe(0);
    expect(await readdir(join(folder, 'hs'))).toEqual(['tiny_hiddenstates_1_5.safetensors']);
  });

  test('of something else is left alone', async () => {
    await make();
    const other: Run = { ...run, manifest: { ...run.manifest, storage: 'F32' } };
    await expect(make({ run: other })).rejects.toMatchObject({ code: 'OUTPUT_DIFFERS', kind: 'usage' });
    expect(await readFile(path())).toEqual(single);
  });

  test('whose lines have changed since they were submitted is not made', async () => {
    const text = await readFile(STEPS, 'utf8');
    await writeFile(join(folder, 'steps.jsonl'), text.replace(/"is_correct": ?true/g, '"is_correct":false'));
    await expect(make()).rejects.toMatchObject({ code: 'INPUT_CHANGED', kind: 'input' });
  });

  test('goes on with what another worker had finished of it', async () => {
    await stopAfterOne('a');
    const first = computed;
    computed = 0;
    expect(await make({ worker: 'b' })).toMatchObject({ status: 'written', traces: 4 });
    expect(computed).toBeLessThan(4);
    expect(first).toBeGreaterThan(0);
    expect(await readFile(path())).toEqual(single);
  });

  test('taken over from a partial that is torn at any byte of its end has the same bytes', async () => {
    await stopAfterOne('a');
    const torn = join(
      folder,
      'hs/.attempts/tiny_hiddenstates_1_5.safetensors/a/.tiny_hiddenstates_1_5.safetensors.partial',
    );
    const bytes = await readFile(torn);
    for (const cut of [1, 100, bytes.length - 1]) {
      await writeFile(torn, bytes);
      await truncate(torn, bytes.length - cut);
      await make({ worker: `b${cut}` });
      expect(await readFile(path())).toEqual(single);
      await rm(path());
      await mkdir(join(torn, '..'), { recursive: true });
    }
  });
});

test('a shard has confidence where the run wants it, and is another one without', async () => {
  run.manifest.confidence_top_k = 7;
  expect(await make()).toMatchObject({ status: 'written', traces: 4 });
  const shard = await openShard(path());
  expect([shard.confidenceTopK, (await shard.confidence(0))!.logprobs.length > 0]).toEqual([7, true]);
  await shard.close();
  run.manifest.confidence_top_k = undefined;
  await expect(make()).rejects.toMatchObject({ code: 'OUTPUT_DIFFERS' });
});

test('shards that are made with one kept decoder have the same bytes, whatever groups of layers each is made in', async () => {
  const inputPath = join(folder, 'steps.jsonl');
  run.manifest.shards = await planRun({ inputPath, start: 1, limit: { traces: 2 } });
  const decoder = keepDecoder();
  const told: string[] = [];
  const settings: Partial<MakeShardOptions> = {
    // All that traces have between two groups goes to the file, which lies in the folder of an attempt.
    openDecoder: (model, { grouping, ...options }) =>
      decoder.open(model, { ...options, grouping: grouping && { ...grouping, memory: 0 } }),
    onInfo: (message) => void told.push(...(/\d(?= groups)/.exec(message) ?? [])),
  };
  const shardsIn = async (...layerGroups: number[]): Promise<Buffer[]> => {
    const bytes: Buffer[] = [];
    for (const [i, shard] of run.manifest.shards.entries()) {
      expect(await make({ shard, ...settings, layerGroups: layerGroups[i] })).toMatchObject({ status: 'written' });
      bytes.push(await readFile(shardPath(run, shard)));
      await rm(shardPath(run, shard));
    }
    return bytes;
  };
  const grouped = [await shardsIn(2, 2), await shardsIn(1, 3), await shardsIn(5, 1)];
  const whole = await shardsIn(1, 1);
  for (const shards of grouped) expect(shards).toEqual(whole);
  await decoder.close();
  expect(told.map(Number)).toEqual([2, 2, 3, 5]);
  expect(await readdir(join(folder, 'hs'))).toEqual([]);
});

describe('a worker that was frozen and wakes', () => {
  test('writes into no file of its successor, and finds its shard made', async () => {
    const shard = run.manifest.shards[0]!;
    const attempts: Record<string, string[]> = {};
    const folderOf = (worker: string) => join(folder, 'hs/.attempts', 'tiny_hiddenstates_1_5.safetensors', worker);
    // The second one begins and ends while the first is at its second trace.
    let woken = false;
    const frozen = make({
      worker: 'frozen',
      async openDecoder(model, settings) {
        const decoder = await openDecoder(model, settings);
        const hiddenStates: typeof decoder.hiddenStates = async (sequence) => {
          const states = await decoder.hiddenStates(sequence);
          if (!woken) {
            woken = true;
            attempts.frozen = await readdir(folderOf('frozen'));
            expect(await make({ worker: 'successor' })).toMatchObject({ status: 'written' });
          }
          return states;
        };
        return { ...decoder, hiddenStates };
      },
    });
    expect(await frozen).toMatchObject({ status: 'kept', traces: 4 });
    expect(attempts.frozen).toContain(`.tiny_hiddenstates_${shard.start}_${shard.end}.safetensors.partial`);
    expect(await readFile(path())).toEqual(single);
    expect(await readdir(join(folder, 'hs'))).toEqual(['tiny_hiddenstates_1_5.safetensors']);
  });

  test('cannot replace the shard, not even when both are sealed', async () => {
    const shard = run.manifest.shards[0]!;
    const [late, early] = [await openAttempt(run, shard, 'late'), await openAttempt(run, shard, 'early')];
    const name = 'tiny_hiddenstates_1_5.safetensors';
    await writeFile(join(late.folder, name), 'late');
    await writeFile(join(early.folder, name), 'early');
    expect(await early.publish()).toBe('written');
    expect(await late.publish()).toBe('kept');
    expect(await readFile(path(), 'utf8')).toBe('early');
  });

  test('tries again where its attempt was cleared away but nothing stands in its place', async () => {
    let cleared = false;
    const attempt = make({
      async openDecoder(model, settings) {
        const decoder = await openDecoder(model, settings);
        const hiddenStates: typeof decoder.hiddenStates = async (sequence) => {
          if (!cleared) await rm(join(folder, 'hs/.attempts'), { recursive: true });
          cleared = true;
          return decoder.hiddenStates(sequence);
        };
        return { ...decoder, hiddenStates };
      },
    });
    await expect(attempt).rejects.toMatchObject({ code: 'ATTEMPT_REMOVED', kind: 'retryable' });
  });
});

test('failed traces are listed beside the shard; too many of them fail it', async () => {
  const lines = (await readFile(STEPS, 'utf8')).trimEnd().split('\n');
  lines[2] = 'not JSON';
  await writeFile(join(folder, 'steps.jsonl'), `${lines.join('\n')}\n`);
  const inputPath = join(folder, 'steps.jsonl');
  const shards = await planRun({ inputPath, start: 1, limit: { traces: 100 } });
  const bad: Run = { ...run, manifest: { ...run.manifest, shards } };
  expect(await make({ run: bad, shard: shards[0]! })).toMatchObject({ traces: 3, failures: 1 });
  expect(JSON.parse(await readFile(`${path()}.failures.json`, 'utf8'))).toMatchObject([
    { trace_index: 2, code: 'NOT_JSON' },
  ]);

  await rm(path());
  lines[3] = 'neither';
  await writeFile(inputPath, `${lines.join('\n')}\n`);
  const worse = await planRun({ inputPath, start: 1, limit: { traces: 100 } });
  const options = { run: { ...run, manifest: { ...run.manifest, shards: worse } }, shard: worse[0]! };
  await expect(make(options)).rejects.toMatchObject({ code: 'TOO_MANY_FAILURES', kind: 'input' });
});
