import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { crossValidate } from './cross-validation.js';
import { sampleTraces, writeShard } from './sample-shards.test.support.js';
import { readScoredTraces } from './scores/scored-trace.js';
import type { Epoch } from './selection.js';
import { sweepLayers } from './sweep.js';

let folder: string;
const sample = { questions: 9, tracesPerQuestion: 6, steps: 4, hiddenSize: 8, layers: [0, 3, 5] };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runs-'));
  await writeShard(join(folder, 'a.safetensors'), sampleTraces(sample), sample);
});
afterAll(() => rm(folder, { recursive: true }));

const options = () =>
  ({ trainDir: folder, outDir: folder, hiddenUnits: 8, lr: 1e-2, batchSize: 32, epochs: 2, device: 'cpu' }) as const;

const readJson = async (path: string) => JSON.parse(await readFile(join(folder, path), 'utf8'));

test('k folds: each trace is scored once, by a scorer that has not seen its question; mean and deviation add up', async () => {
  const result = await crossValidate({ ...options(), configName: 'cv', folds: 3 });
  const aucs = result.folds.map(({ best }) => best.auc);
  const mean = aucs.reduce((sum, auc) => sum + auc, 0) / 3;
  expect(result.mean.auc).toBeCloseTo(mean, 12);
  expect(result.standardDeviation.auc).toBeCloseTo(
    Math.sqrt(aucs.reduce((sum, auc) => sum + (auc - mean) ** 2, 0) / 2),
    12,
  );

  const scored: number[] = [];
  for await (const { trace_index } of readScoredTraces(result.outOfFold!)) scored.push(trace_index);
  expect(scored.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 54 }, (_, i) => i));
  const splits = await Promise.all([1, 2, 3].map((fold) => readJson(`checkpoints/cv/fold${fold}/split.json`)));
  expect(splits.map(({ validation }) => validation[0].trace_index.length)).toEqual([18, 18, 18]);
  const configs = await Promise.all([1, 2, 3].map((fold) => readJson(`checkpoints/cv/fold${fold}/config.json`)));
  expect(configs.map(({ fold, folds }) => [fold, folds])).toEqual([
    [1, 3],
    [2, 3],
    [3, 3],
  ]);

  const again = await crossValidate({
    ...options(),
    configName: 'cv',
    folds: 3,
    onEpoch: () => expect.unreachable(),
  });
  expect(again.mean).toEqual(result.mean);
  expect(await readJson('checkpoints/cv/folds.json')).toMatchObject({ mean: result.mean });
});

test('what all runs warn of is told once, and each epoch with the run that it is of', async () => {
  const warnings: string[] = [];
  // Room for two windows of a batch.
  const parts: (string | undefined)[] = [];
  const hooks = {
    memory: 10 * 32 * 16,
    onWarning: (message: string) => warnings.push(message),
    onEpoch: (_epoch: number, _result: Epoch, part: string | undefined) => parts.push(part),
  };
  await sweepLayers({ ...options(), configName: 'little', epochs: 1, layers: [0, 5], ...hooks });
  expect(warnings).toEqual([expect.stringMatching(/^--memory/)]);
  await crossValidate({ ...options(), configName: 'little-cv', epochs: 1, folds: 2, ...hooks });
  expect(warnings).toHaveLength(2);
  expect(parts).toEqual(['layer0', 'layer5', 'fold1', 'fold2']);
});

test('folds that cannot be trained on say which, and what to do', async () => {
  await expect(crossValidate({ ...options(), configName: 'many', folds: 10 })).rejects.toMatchObject({
    code: 'VALIDATION_EMPTY',
    where: expect.stringMatching(/fold \d+ of 10$/),
    hint: expect.stringContaining('fewer --folds'),
  });
});

test('a sweep takes each layer once, and names the first of those that are not kept', async () => {
  const layers = Array.from({ length: 10_000 }, (_, layer) => layer + 6);
  await expect(sweepLayers({ ...options(), layers: [5, ...layers] })).rejects.toMatchObject({
    code: 'LAYER_NOT_KEPT',
    message: expect.stringMatching(/layers 6, 7, .*, 15 and 9990 more/),
  });
  const twice = await sweepLayers({ ...options(), configName: 'twice', epochs: 1, layers: [5, 5] });
  expect(twice.layers.map(({ layer }) => layer)).toEqual([5]);
});

test('a sweep trains a scorer for each layer, and leaves a page that compares them', async () => {
  const result = await sweepLayers({ ...options(), configName: 'sweep', layers: [0, 5] });
  expect(result.layers.map(({ layer, run }) => [layer, run.config.feature_layers])).toEqual([
    [0, [0]],
    [5, [5]],
  ]);
  const page = await readFile(result.report, 'utf8');
  for (const { layer, run } of result.layers) {
    expect(page).toContain(`<th scope="row">${layer}</th><td>${run.best.auc.toFixed(4)}</td>`);
  }
  // All layers are judged on the same steps.
  const [first, second] = await Promise.all(
    [0, 5].map((layer) => readJson(`checkpoints/sweep/layer${layer}/split.json`)),
  );
  expect(first).toEqual(second);
  const figures = (await readJson('checkpoints/sweep/sweep.json')).layers;
  expect(figures.map(({ layer, auc }: { layer: number; auc: number }) => [layer, auc])).toEqual(
    result.layers.map(({ layer, run }) => [layer, run.best.auc]),
  );

  const all = await sweepLayers({ ...options(), configName: 'sweep' });
  expect(all.layers.map(({ layer, run }) => [layer, run.repeated])).toEqual([
    [0, true],
    [3, false],
    [5, true],
  ]);
});
