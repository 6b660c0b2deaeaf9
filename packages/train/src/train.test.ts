import { existsSync, readdirSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { lockFile } from '@scorer/core/files';
import { openSafetensors } from '@scorer/core/safetensors';
import { openShard } from '@scorer/core/shards';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type SampleTrace, sampleTraces, writeShard } from './sample-shards.test.support.js';
import { type TrainOptions, train } from './train.js';
import { readScorer } from './weights-files.js';

const HIDDEN_SIZE = 8;

let shards: string;
beforeAll(async () => {
  shards = await mkdtemp(join(tmpdir(), 'shards-'));
  const traces = sampleTraces({ questions: 10, tracesPerQuestion: 8, steps: 6, hiddenSize: HIDDEN_SIZE });
  await writeShard(join(shards, 'a.safetensors'), traces.slice(0, 50), { layers: [1], hiddenSize: HIDDEN_SIZE });
  await writeShard(join(shards, 'b.safetensors'), traces.slice(50), { layers: [1], hiddenSize: HIDDEN_SIZE });
});
afterAll(() => rm(shards, { recursive: true }));

let outDir: string;
beforeEach(async () => {
  outDir = await mkdtemp(join(tmpdir(), 'train-'));
});
afterEach(() => rm(outDir, { recursive: true }));

const options = (more: Partial<TrainOptions> = {}): TrainOptions => ({
  trainDir: shards,
  outDir,
  configName: 'run',
  hiddenUnits: 16,
  lr: 1e-2,
  batchSize: 32,
  epochs: 4,
  device: 'cpu',
  ...more,
});

const checkpoints = (): string => join(outDir, 'checkpoints/run');
const bytes = (name: string, folder = checkpoints()): Promise<Buffer> => readFile(join(folder, name));

describe('a run', () => {
  test('learns, keeps its best epoch and leaves the files of the contract', async () => {
    const epochs: number[] = [];
    const result = await train(options({ onEpoch: (epoch) => epochs.push(epoch) }));
    expect(epochs).toEqual([1, 2, 3, 4]);
    expect(result.best.auc).toBeGreaterThan(0.75);
    expect(result.lossCurve.at(-1)).toBeLessThan(result.lossCurve[0]!);
    expect(result.perEpoch[result.best.epoch - 1]).toMatchObject({ auc: result.best.auc, f1: result.best.f1 });
    expect(result).toMatchObject({
      repeated: false,
      tracesWithoutSteps: 0,
      split: { kind: 'question', sharedQuestions: 0, train: { questions: 8 }, validation: { questions: 2 } },
    });

    const names = await readdir(checkpoints());
    expect(names).toEqual(
      expect.arrayContaining(['config.json', 'metrics.json', 'scorer.safetensors', 'state.safetensors']),
    );
    expect(names.filter((name) => name.startsWith('.'))).toEqual([]);
    const { auc, f1, epoch } = result.best;
    const name = `checkpoint_epoch${epoch}_auc${auc.toFixed(4)}_f1${f1.toFixed(4)}.safetensors`;
    expect(result.checkpoint).toBe(join(checkpoints(), name));
    expect(await bytes(name)).toEqual(await bytes('scorer.safetensors'));
    expect(await readdir(join(outDir, 'plots/run'))).toEqual([
      'loss_curves.png',
      'report.html',
      'validation_metrics.png',
    ]);
  });

  test("gives the scorer the names and shapes of the original's reader", async () => {
    await train(options({ epochs: 1 }));
    const file = await openSafetensors(join(checkpoints(), 'scorer.safetensors'));
    const tensors = [...file.tensors.values()].map(({ name, dtype, shape }) => `${name} ${dtype} [${shape}]`);
    await file.close();
    expect(tensors.sort()).toEqual([
      'net.0.bias F32 [16]',
      `net.0.weight F32 [16,${HIDDEN_SIZE}]`,
      'net.2.bias F32 [1]',
      'net.2.weight F32 [1,16]',
    ]);
  });

  test('gives the same bytes however little memory it has, and says what it takes all the same', async () => {
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    await train(options({ onWarning }));
    expect(warnings).toEqual([]);
    // Two windows of a batch each, instead of all rows.
    await train(options({ configName: 'little', memory: 10 * 32 * 2 * HIDDEN_SIZE, onWarning }));
    expect(warnings).toEqual([expect.stringContaining('the process takes about 265 MB')]);
    for (const name of ['scorer.safetensors', 'metrics.json']) {
      expect(await bytes(name, join(outDir, 'checkpoints/little')), name).toEqual(await bytes(name));
    }
  });

  test('gives the same bytes for the same seed, and others for another', async () => {
    await train(options());
    const first = await bytes('scorer.safetensors');
    await train(options({ configName: 'again' }));
    expect(await bytes('scorer.safetensors', join(outDir, 'checkpoints/again'))).toEqual(first);
    await train(options({ configName: 'other', seed: 1 }));
    expect(await bytes('scorer.safetensors', join(outDir, 'checkpoints/other'))).not.toEqual(first);
  });

  test('stops when its patience is spent, and says so to the progress', async () => {
    const seen: { done: number; total?: number }[] = [];
    // So small a step changes nothing: the first epoch stays the best.
    const result = await train(options({ lr: 1e-12, patience: 2, epochs: 10, onProgress: (p) => seen.push(p) }));
    expect(result.perEpoch).toHaveLength(3);
    expect(result.best.epoch).toBe(1);
    expect(seen.at(-1)).toMatchObject({ stage: 'training', done: 3 * 384, total: 3 * 384, unit: 'rows' });
  });

  test('reports per epoch and at the top of metrics.json what it returned', async () => {
    const { best, lossCurve, perEpoch } = await train(options({ split: 'step' }));
    const metrics = JSON.parse(await readFile(join(checkpoints(), 'metrics.json'), 'utf8'));
    const { epoch, ...figures } = best;
    expect(metrics).toMatchObject({ finished: true, best_epoch: epoch, ...figures, loss_curve: lossCurve });
    expect(metrics.epochs).toEqual(perEpoch);
    expect(metrics.split).toMatchObject({ kind: 'step', shared_questions: 10, train: { steps: 384 } });
  });
});

describe('the same command again', () => {
  /** Aborts in the epoch after `epoch`. */
  async function trainAndStopAfter(epoch: number): Promise<void> {
    const controller = new AbortController();
    const onEpoch = (done: number): void => {
      if (done === epoch) controller.abort();
    };
    await expect(train(options({ signal: controller.signal, onEpoch }))).rejects.toThrow(/abort/);
  }

  test('goes on after the last whole epoch, with the same bytes as a run that was never stopped', async () => {
    await train(options({ configName: 'unbroken' }));
    await trainAndStopAfter(2);
    const stopped = JSON.parse(await readFile(join(checkpoints(), 'metrics.json'), 'utf8'));
    expect(stopped).toMatchObject({ finished: false, epochs: [{ epoch: 1 }, { epoch: 2 }] });

    const epochs: number[] = [];
    await train(options({ onEpoch: (epoch) => epochs.push(epoch) }));
    expect(epochs).toEqual([3, 4]);
    for (const name of ['scorer.safetensors', 'state.safetensors', 'metrics.json']) {
      expect(await bytes(name), name).toEqual(await bytes(name, join(outDir, 'checkpoints/unbroken')));
    }
  });

  test.each<[string, (folder: string) => Promise<void>]>([
    ['half a state', async (folder) => truncate(join(folder, 'state.safetensors'), 1000)],
    ['no config.json', async (folder) => rm(join(folder, 'config.json'))],
    ['no scorer', async (folder) => rm(join(folder, 'scorer.safetensors'))],
  ])('after damage to what it left (%s) says so, and starts over only when told to', async (_, damage) => {
    await trainAndStopAfter(1);
    await damage(checkpoints());
    await expect(train(options())).rejects.toMatchObject({
      code: 'RUN_DAMAGED',
      hint: expect.stringContaining('--overwrite'),
    });
    expect((await train(options({ overwrite: 'replace' }))).perEpoch).toHaveLength(4);
  });

  test('repeats the result of a finished run without training', async () => {
    const first = await train(options());
    await rm(join(checkpoints(), 'state.safetensors'));
    const second = await train(options({ onEpoch: () => expect.unreachable() }));
    expect(second).toEqual({ ...first, repeated: true });
  });

  test('with other settings is refused, and what stands there stays', async () => {
    await train(options({ epochs: 1 }));
    const scorer = await bytes('scorer.safetensors');
    await expect(train(options({ epochs: 2, seed: 5 }))).rejects.toMatchObject({
      code: 'RUN_EXISTS',
      kind: 'usage',
      what: 'a run with other settings or data stands here: seed is 0 there, 5 here; epochs is 1 there, 2 here',
    });
    // pos_weight differs too, which nobody has set.
    await expect(train(options({ epochs: 1, maxTraces: 23 }))).rejects.toMatchObject({
      what: 'a run with other settings or data stands here: max_traces is not set there, 23 here',
    });
    expect(await bytes('scorer.safetensors')).toEqual(scorer);
  });

  test('with other data is refused', async () => {
    await train(options({ epochs: 1 }));
    const other = await mkdtemp(join(tmpdir(), 'shards-'));
    const traces = sampleTraces({ questions: 5, tracesPerQuestion: 8, steps: 3, hiddenSize: HIDDEN_SIZE });
    await writeShard(join(other, 'a.safetensors'), traces, { layers: [1], hiddenSize: HIDDEN_SIZE });
    await expect(train(options({ epochs: 1, trainDir: other }))).rejects.toMatchObject({
      code: 'RUN_EXISTS',
      message: expect.stringContaining('data_fingerprint'),
    });
    await rm(other, { recursive: true });
  });

  test('with --overwrite starts over and removes the checkpoints of the run before, but nothing else', async () => {
    const before = await train(options({ epochs: 1 }));
    await writeFile(join(checkpoints(), 'notes.txt'), 'mine');
    const after = await train(options({ seed: 5, overwrite: 'replace' }));
    expect(after.perEpoch).toHaveLength(4);
    expect(after.checkpoint).not.toBe(before.checkpoint);
    expect(existsSync(before.checkpoint)).toBe(false);
    expect(existsSync(join(checkpoints(), 'notes.txt'))).toBe(true);
  });

  test('while the first is still at work is refused as something to try later', async () => {
    await mkdir(checkpoints(), { recursive: true });
    const lock = await lockFile(join(checkpoints(), 'run'));
    // Held by this very process, which is alive.
    await expect(train(options())).rejects.toMatchObject({ code: 'RUN_LOCKED', kind: 'retryable' });
    await lock!.release();
  });

  test('ends at the epoch in which a process on another host has taken the run over', async () => {
    const onEpoch = (): void => {
      const lock = readdirSync(checkpoints()).find((name) => name.endsWith('.lock'))!;
      rmSync(join(checkpoints(), lock));
    };
    await expect(train(options({ onEpoch }))).rejects.toMatchObject({ code: 'LOCK_LOST', kind: 'retryable' });
  });
});

describe('its settings', () => {
  test('standardised inputs, pairwise loss, dropout and two layers: it learns, resumes, and scores raw rows', async () => {
    const settings = {
      standardise: true,
      loss: 'pairwise',
      dropout: 0.1,
      hiddenUnits: '16,8',
      keep: 'best',
    } as const;
    const unbroken = await train(options({ ...settings, configName: 'unbroken' }));
    expect(unbroken.judgement!.auc_within_question).toBeGreaterThan(0.75);
    expect(unbroken.config).toMatchObject({ hidden_units: [16, 8], select: 'within_question', pos_weight: 1 });

    const controller = new AbortController();
    const stopped = train(options({ ...settings, signal: controller.signal, onEpoch: () => controller.abort() }));
    await expect(stopped).rejects.toThrow(/abort/);
    const resumed = await train(options(settings));
    const other = join(outDir, 'checkpoints/unbroken');
    for (const name of ['scorer.safetensors', 'state.safetensors']) {
      expect(await bytes(name), name).toEqual(await bytes(name, other));
    }
    // What users load takes the mean and the scale into its own weights.
    expect(resumed.perEpoch[resumed.best.epoch - 1]!.auc).toBeCloseTo(resumed.best.auc, 3);
    const kept = (await readdir(checkpoints())).filter((name) => name.startsWith('checkpoint_'));
    expect(kept).toEqual([basename(resumed.checkpoint)]);
  });

  test.each([{ standardise: false }, { standardise: true }])(
    'principal components, %o: it learns, resumes, and its scorer takes raw rows',
    async (scaling) => {
      const settings = { ...scaling, pca: 3, keep: 'best' } as const;
      const unbroken = await train(options({ ...settings, configName: 'unbroken' }));
      expect(unbroken.config).toMatchObject({ pca: 3 });
      expect(unbroken.best.auc).toBeGreaterThan(0.7);
      expect(unbroken.perEpoch[unbroken.best.epoch - 1]!.auc).toBeCloseTo(unbroken.best.auc, 3);

      const controller = new AbortController();
      const stopped = train(options({ ...settings, signal: controller.signal, onEpoch: () => controller.abort() }));
      await expect(stopped).rejects.toThrow(/abort/);
      await train(options(settings));
      const other = join(outDir, 'checkpoints/unbroken');
      for (const name of ['scorer.safetensors', 'state.safetensors']) {
        expect(await bytes(name), name).toEqual(await bytes(name, other));
      }
    },
  );

  test.each([
    { lrSchedule: 'cosine', warmup: 18 },
    { lrSchedule: 'linear', warmup: 0.1 },
  ] as const)('a learning rate that changes, %o: it resumes in the middle, and is saved', async (settings) => {
    const unbroken = await train(options({ ...settings, configName: 'unbroken' }));
    expect(unbroken.config).toMatchObject({ lr_schedule: settings.lrSchedule, warmup: settings.warmup });

    const controller = new AbortController();
    const stopped = train(options({ ...settings, signal: controller.signal, onEpoch: () => controller.abort() }));
    await expect(stopped).rejects.toThrow(/abort/);
    await expect(train(options())).rejects.toMatchObject({
      code: 'RUN_EXISTS',
      message: expect.stringContaining(`lr_schedule is "${settings.lrSchedule}" there`),
    });
    await train(options(settings));
    const other = join(outDir, 'checkpoints/unbroken');
    for (const name of ['scorer.safetensors', 'state.safetensors', 'config.json']) {
      expect((await bytes(name)).toString().replace('"run"', '"unbroken"'), name).toBe(
        (await bytes(name, other)).toString(),
      );
    }
    const constant = await train(options({ configName: 'constant' }));
    expect(constant.lossCurve).not.toEqual(unbroken.lossCurve);
  });

  test('a constant learning rate stands in config.json as ever, without a schedule', async () => {
    await train(options({ epochs: 1 }));
    const config = JSON.parse((await bytes('config.json')).toString());
    expect(config.lr).toBe(1e-2);
    expect(Object.keys(config)).not.toEqual(expect.arrayContaining(['lr_schedule']));
    expect(Object.keys(config)).not.toEqual(expect.arrayContaining(['warmup']));
  });

  test('a warm-up that leaves no step is refused', async () => {
    const stepsInAll = { epochs: 4, warmup: 48 };
    await expect(train(options(stepsInAll))).rejects.toMatchObject({ code: 'BAD_OPTION', kind: 'usage' });
    await expect(train(options({ warmup: 1.5 }))).rejects.toMatchObject({ code: 'BAD_OPTION', kind: 'usage' });
  });

  test('more principal components than inputs are refused', async () => {
    await expect(train(options({ pca: 1000 }))).rejects.toMatchObject({ code: 'BAD_OPTION', kind: 'usage' });
  });

  test('logistic regression, balanced by drawing, on a drawn share of the traces', async () => {
    const result = await train(options({ hiddenUnits: 0, classBalance: 'sample', maxTraces: 60 }));
    expect(result.split.train.traces + result.split.validation.traces).toBe(60);
    expect(result.config).toMatchObject({ hidden_units: [], class_balance: 'sample', max_traces: 60, pos_weight: 1 });
    const { network } = await readScorer(join(checkpoints(), 'scorer.safetensors'));
    expect(network).toEqual({ inputSize: HIDDEN_SIZE, hiddenUnits: [] });
  });

  test('labels from a file, also soft ones, are what it learns', async () => {
    const labels = join(outDir, 'labels.jsonl');
    const shard = await openShard(join(shards, 'a.safetensors'));
    const other = await openShard(join(shards, 'b.safetensors'));
    const lines = [shard, other].flatMap(({ path, traceIndex, labels: ofShard }) =>
      Array.from(traceIndex, (index, i) =>
        JSON.stringify({ shard: basename(path), trace_index: index, label: ofShard[i] === 1 ? 0.2 : 0.9 }),
      ),
    );
    await Promise.all([shard.close(), other.close()]);
    await writeFile(labels, lines.join('\n'));
    const result = await train(options({ labels }));
    // Right and wrong have changed places.
    expect(result.best.auc).toBeGreaterThan(0.75);
    const counts = (await train(options({ configName: 'own', epochs: 1 }))).split;
    const positives = ({ train, validation }: typeof counts): number => train.positives + validation.positives;
    expect(positives(result.split) + positives(counts)).toBe(480);
    expect(result.config.labels_fingerprint).toMatch(/^[0-9a-f]{64}$/);
    await expect(train(options({ labels: undefined }))).rejects.toMatchObject({ code: 'RUN_EXISTS' });
  });

  test('a folder of its own for validation is not split off, and questions on both sides are told', async () => {
    const other = await mkdtemp(join(tmpdir(), 'shards-'));
    const traces = sampleTraces({ questions: 4, tracesPerQuestion: 5, steps: 3, hiddenSize: HIDDEN_SIZE });
    await writeShard(join(other, 'v.safetensors'), traces, { layers: [1], hiddenSize: HIDDEN_SIZE });
    const { split, config } = await train(options({ validationDir: other, epochs: 1 }));
    expect(split).toMatchObject({
      kind: 'folder',
      sharedQuestions: 4,
      train: { traces: 80 },
      validation: { traces: 20 },
    });
    expect(config.validation_fingerprint).toMatch(/^[0-9a-f]{64}$/);
    const { kind, validation } = JSON.parse(await readFile(join(checkpoints(), 'split.json'), 'utf8'));
    expect({ kind, shard: validation[0].shard, traces: validation[0].trace_index.length }).toEqual({
      kind: 'folder',
      shard: 'v.safetensors',
      traces: 20,
    });
    await rm(other, { recursive: true });
  });

  test('steps drawn anew in each epoch: it says what it has, and resumes to the same bytes', async () => {
    const settings = { resampleSteps: true, stepSampleRatio: 0.5 } as const;
    const { split } = await train(options({ ...settings, configName: 'unbroken' }));
    expect(split).toMatchObject({ train: { steps: 384 }, validation: { steps: 16 * 3 } });
    const controller = new AbortController();
    const stopped = train(options({ ...settings, signal: controller.signal, onEpoch: () => controller.abort() }));
    await expect(stopped).rejects.toThrow(/abort/);
    await train(options(settings));
    expect(await bytes('scorer.safetensors')).toEqual(
      await bytes('scorer.safetensors', join(outDir, 'checkpoints/unbroken')),
    );
  });

  test('a pairwise loss needs a question with right and wrong steps', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'shards-'));
    const states = new Map([[1, [new Float32Array(HIDDEN_SIZE)]]]);
    const traces = ['a', 'b', 'c', 'd', 'e'].map((question, i) => ({ question, isCorrect: i % 2 === 0, states }));
    await writeShard(join(folder, 'a.safetensors'), traces, { layers: [1], hiddenSize: HIDDEN_SIZE });
    await expect(train(options({ trainDir: folder, loss: 'pairwise' }))).rejects.toMatchObject({ code: 'NO_PAIRS' });
    await rm(folder, { recursive: true });
  });
});

describe('what cannot be trained on gives its own error and no folder', () => {
  const states = (rows: number): SampleTrace['states'] =>
    new Map([[1, Array.from({ length: rows }, () => new Float32Array(HIDDEN_SIZE))]]);

  test.each<[string, string, SampleTrace[]]>([
    ['no shards', 'NO_SHARDS', []],
    ['traces without steps', 'NO_STEPS', [{ question: 'a', isCorrect: true, states: states(0) }]],
    ['steps in prompts only', 'NO_STEPS', [{ question: 'a', isCorrect: true, states: states(2), regions: [0, 0] }]],
    [
      'one question',
      'VALIDATION_EMPTY',
      [true, false].map((isCorrect) => ({ question: 'a', isCorrect, states: states(2) })),
    ],
    [
      'wrong traces only',
      'ONE_CLASS',
      ['a', 'b', 'c'].map((q) => ({ question: q, isCorrect: false, states: states(2) })),
    ],
    [
      'right traces only',
      'ONE_CLASS',
      ['a', 'b', 'c'].map((q) => ({ question: q, isCorrect: true, states: states(2) })),
    ],
  ])('%s: %s', async (_, code, traces) => {
    const folder = await mkdtemp(join(tmpdir(), 'shards-'));
    if (traces.length > 0)
      await writeShard(join(folder, 'a.safetensors'), traces, { layers: [1], hiddenSize: HIDDEN_SIZE });
    await expect(train(options({ trainDir: folder }))).rejects.toMatchObject({ code, kind: 'input' });
    expect(await readdir(outDir)).toEqual([]);
    await rm(folder, { recursive: true });
  });

  test('a hidden state that is not finite among those of validation is named', async () => {
    const traces = sampleTraces({ questions: 10, tracesPerQuestion: 8, steps: 6, hiddenSize: HIDDEN_SIZE });
    const shard = { layers: [1], hiddenSize: HIDDEN_SIZE };
    const folder = join(outDir, 'validation');
    await mkdir(folder);
    await writeShard(join(folder, 'a.safetensors'), traces.slice(0, 30), shard);
    traces[33]!.states.get(1)![2]!.fill(Number.NaN);
    await writeShard(join(folder, 'b.safetensors'), traces.slice(30), shard);
    await expect(train(options({ validationDir: folder }))).rejects.toMatchObject({
      code: 'SCORE_NOT_FINITE',
      where: expect.stringMatching(/b\.safetensors$/),
      message: expect.stringContaining('step 3 of trace 3 is not a number'),
    });
  });

  test('hidden states that are not finite: LOSS_NOT_FINITE, and an empty folder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'shards-'));
    const traces = sampleTraces({ questions: 4, tracesPerQuestion: 4, steps: 2, hiddenSize: HIDDEN_SIZE });
    for (const { states } of traces) states.get(1)![0]![0] = Number.POSITIVE_INFINITY;
    await writeShard(join(folder, 'a.safetensors'), traces, { layers: [1], hiddenSize: HIDDEN_SIZE });
    await expect(train(options({ trainDir: folder }))).rejects.toMatchObject({ code: 'LOSS_NOT_FINITE' });
    for (const transform of [{ pca: 2 }, { standardise: true }]) {
      const transformed = train(options({ trainDir: folder, ...transform }));
      await expect(transformed).rejects.toMatchObject({ code: 'ROWS_NOT_FINITE' });
    }
    expect(await readdir(checkpoints())).toEqual([]);
    await rm(folder, { recursive: true });
  });

  test.each<[Partial<TrainOptions>, RegExp]>([
    [{ hiddenUnits: 99_999_999_999 }, /at most 65536 units/],
    [{ threads: 100_000 }, /at most 1024/],
    [{ seed: -1 }, /at least 0/],
  ])('%j: BAD_OPTION', async (option, message) => {
    await expect(train(options(option))).rejects.toMatchObject({
      code: 'BAD_OPTION',
      what: expect.stringMatching(message),
    });
  });

  test.each(['', '.', '..', 'a/b', 'a\\b', '/tmp/x', 'a\nb'])('the name %j: BAD_OPTION', async (configName) => {
    await expect(train(options({ configName }))).rejects.toMatchObject({ code: 'BAD_OPTION', kind: 'usage' });
    expect(await readdir(outDir)).toEqual([]);
  });
});

test('each feature trains a scorer of its own width', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shards-'));
  const sample = { questions: 5, tracesPerQuestion: 6, steps: 3, hiddenSize: HIDDEN_SIZE, layers: [0, 2, 5] };
  await writeShard(join(folder, 'a.safetensors'), sampleTraces(sample), sample);
  const widths = { last: 8, layer_mean: 8, concat: 24, certain_layer: 8 } as const;
  for (const [feature, width] of Object.entries(widths) as [keyof typeof widths, number][]) {
    const layer = feature === 'certain_layer' ? 2 : undefined;
    await train(options({ trainDir: folder, configName: feature, feature, layer, epochs: 1 }));
    const { network } = await readScorer(join(outDir, 'checkpoints', feature, 'scorer.safetensors'));
    expect(network.inputSize, feature).toBe(width);
  }
  await rm(folder, { recursive: true });
});
