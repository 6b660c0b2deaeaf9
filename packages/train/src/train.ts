import { join } from 'node:path';
import { type OnProgress, parseOptions } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import type { Device } from '@scorer/core/onnx';
import type { ScorerConfig } from '@scorer/core/schema';
import type { z } from 'zod';
import { networkOf, openRunFolder, type RunFolder, trainedNetworkOf } from './checkpoint.js';
import { scorerConfig } from './config.js';
import { checkScores } from './data/check-scores.js';
import { epochBatches } from './data/epoch-batches.js';
import { inputTransform } from './data/input-transform.js';
import { memoryWarning } from './data/memory.js';
import { openTrainingData, questionsOfSet, type TrainingData } from './data/training-data.js';
import { createEngine, type Engine, type EngineName, type InputTransform, initialState } from './engine/engine.js';
import { foldedParameters } from './engine/fold.js';
import { initialParameters } from './engine/network.js';
import { resolveEngine, resolveEngineDevice } from './engine/resolve.js';
import { RUNTIMES } from './engine/runtime.js';
import { learningRateSchedule } from './engine/schedule.js';
import { scoreAll, trainEpoch } from './epoch.js';
import { judge } from './judgement.js';
import { classificationMetrics, withinQuestionAuc } from './metrics.js';
import { describeRun, type MetricsFile } from './metrics-file.js';
import { type TrainSettings, trainOptionsSchema } from './options.js';
import { type TrainingResult, trainingResult, type ValidationScores } from './result.js';
import { loadScorer, probabilities } from './scorer.js';
import { type Epoch, isDone } from './selection.js';

export type TrainOptions = z.input<typeof trainOptionsSchema> & TrainHooks;

export interface TrainHooks {
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
  /**
   * Called after each epoch (from 1) with its loss and its validation, and which of several runs it is of: `fold2`,
   * `layer12`.
   */
  onEpoch?: ((epoch: number, result: Epoch, part: string | undefined) => void) | undefined;
  onWarning?: ((message: string) => void) | undefined;
}

/**
 * Trains a scorer on a folder of shards: epochs of minibatches, each validated; the best weights are kept, and after
 * every epoch a state to go on from; plots in the end. A run that stands already goes on after its last epoch, with
 * the same numbers as one that was never interrupted; a finished one repeats its result.
 * @throws ScorerError the codes of `openTrainingData` and `openRunFolder`, `BAD_OPTION`, `ENGINE_NOT_AVAILABLE`
 * (usage), `LOSS_NOT_FINITE`, `SCORE_NOT_FINITE`, `ROWS_NOT_FINITE`, `ONNXRUNTIME_MISSING`, `CUDA_UNAVAILABLE`
 */
export async function train(options: TrainOptions): Promise<TrainingResult> {
  return trainWith(parseOptions(trainOptionsSchema, options), options);
}

/** `train` with options that have been checked. */
export async function trainWith(settings: TrainSettings, hooks: TrainHooks): Promise<TrainingResult> {
  const engine = resolveEngine(settings.engine);
  const data = await openTrainingData(settings);
  try {
    const config = scorerConfig(settings, data);
    const folders = runFolders(settings);
    const run = await openRunFolder(folders.checkpoints, { config, split: data.splitFile }, settings);
    try {
      return await trainInFolder({ settings, engine, config, data, run, plotsFolder: folders.plots, hooks });
    } finally {
      await run.close();
    }
  } finally {
    await data.close();
  }
}

/** Where a run writes. */
export function runFolders({ outDir, configName, part = '' }: Pick<TrainSettings, 'outDir' | 'configName' | 'part'>): {
  checkpoints: string;
  plots: string;
} {
  return { checkpoints: join(outDir, 'checkpoints', configName, part), plots: join(outDir, 'plots', configName, part) };
}

interface Training {
  readonly settings: TrainSettings;
  readonly engine: EngineName;
  readonly config: ScorerConfig;
  readonly data: TrainingData;
  readonly run: RunFolder;
  readonly plotsFolder: string;
  readonly hooks: TrainHooks;
}

async function trainInFolder(training: Training): Promise<TrainingResult> {
  const { settings, config, data, run, plotsFolder, hooks } = training;
  const summarise = (metrics: MetricsFile): TrainingResult =>
    trainingResult({ config, metrics, checkpointFolder: run.path, plotsFolder, repeated: run.finished !== undefined });
  if (run.finished) return summarise(run.finished);

  const device = await resolveEngineDevice(training.engine, settings.device);
  const history = await trainEpochs(training, device);
  const validation = await validateKept(training, device);

  const { scores, labels } = validation;
  const metrics = {
    ...describeRun(history, data, settings.select),
    ...classificationMetrics(scores, labels),
    judgement: await judge(validation, data),
    finished: true,
  };
  const result = summarise(metrics);
  // The plots take memory of their own.
  await data.close();
  await plot(result, validation, hooks);
  // Last of all: from here on the run counts as finished.
  await run.finish(metrics);
  return result;
}

/** The epochs that are left of the run. Returns all of them. */
async function trainEpochs(training: Training, device: Device): Promise<readonly Epoch[]> {
  const { settings, config, data, run, hooks } = training;
  const { validation } = data;
  const history = [...run.history];
  if (isDone(history, settings)) return history;
  const warning = memoryWarning(settings.memory, trainedNetworkOf(config));
  if (warning !== undefined) hooks.onWarning?.(warning);

  const batches = epochBatches(data, settings, { runs: RUNTIMES[training.engine].runs(device) });
  const schedule = learningRateSchedule(settings, settings.epochs * batches.batchesPerEpoch);
  const transform = await inputTransform(data, config, {
    engine: training.engine,
    device,
    threads: settings.threads,
    signal: hooks.signal,
  });
  const questions = questionsOfSet(validation);
  const progress = trackRows(hooks, (settings.epochs - history.length) * batches.rowsPerEpoch);
  const engine = await startEngine(training, { device, transform, schedule });
  try {
    while (!isDone(history, settings)) {
      const epoch = history.length + 1;
      const loss = await trainEpoch(engine, batches.epoch(epoch), { signal: hooks.signal, onRows: progress.add });
      if (!Number.isFinite(loss)) throw lossNotFinite(loss, epoch);

      const rows = { count: validation.rows.count, signal: hooks.signal };
      const logits = await scoreAll(engine.predict, validation.rows.inOrder(), rows);
      checkScores(logits, validation.set.rows, validation.dataset);
      const result = { loss, ...validationMetrics(probabilities(logits), validation.set.labels, questions) };
      history.push(result);
      const state = await engine.state();
      const weights = foldedParameters(networkOf(config), state.weights, transform);
      await run.save({ history, state, weights, metrics: describeRun(history, data, settings.select) });
      hooks.onEpoch?.(epoch, result, settings.part);
    }
  } finally {
    await engine.close();
  }
  progress.end();
  return history;
}

function validationMetrics(scores: Float32Array, labels: Uint8Array, questions: Uint32Array): Omit<Epoch, 'loss'> {
  const { value } = withinQuestionAuc(scores, labels, questions);
  return { ...classificationMetrics(scores, labels), auc_within_question: value };
}

async function startEngine(
  { settings, engine, config, data, run, hooks }: Training,
  {
    device,
    transform,
    schedule,
  }: { device: Device; transform: InputTransform | undefined; schedule: (step: number) => number },
): Promise<Engine> {
  const network = networkOf(config);
  const { lr: learningRate, weightDecay, dropout, seed, threads } = settings;
  const options = {
    network,
    rowType: data.source.rowType,
    adam: { learningRate, schedule, weightDecay, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    loss:
      config.loss === 'pairwise'
        ? ({ kind: 'pairwise' } as const)
        : ({ kind: 'bce', positiveWeight: config.pos_weight } as const),
    dropout,
    seed,
    inputTransform: transform,
    device,
    threads,
    onWarning: hooks.onWarning,
  };
  const state = run.state ?? initialState(initialParameters(trainedNetworkOf(config), seed));
  return createEngine(engine, options, state);
}

/** The scores of the kept weights on the validation steps, by way of the file that users will load. */
async function validateKept(
  { settings, engine, data, run, hooks }: Training,
  device: Device,
): Promise<ValidationScores> {
  const { rows, set } = data.validation;
  const scorer = await loadScorer(run.path, { engine, device, threads: settings.threads });
  try {
    const scores = await scoreAll(scorer.score, rows.inOrder(), { count: rows.count, signal: hooks.signal });
    return { scores, labels: set.labels };
  } finally {
    await scorer.close();
  }
}

async function plot(result: TrainingResult, validation: ValidationScores, { onWarning }: TrainHooks): Promise<void> {
  // Loaded here because a browser's DOM and a renderer hang on it.
  const { writePlots } = await import('./plots/index.js');
  try {
    await writePlots(result.plotsFolder, [result], { ...result, validation });
  } catch (error) {
    // The scorer is trained: pictures that this machine can't draw are no reason to fail.
    if (!(error instanceof ScorerError) || error.code !== 'PNG_RENDERER_MISSING') throw error;
    onWarning?.(error.message);
  }
}

function trackRows({ onProgress }: TrainHooks, total: number) {
  let done = 0;
  const show = (of: number): void => onProgress?.({ stage: 'training', done, total: of, unit: 'rows' });
  return {
    add(rows: number): void {
      done += rows;
      show(total);
    },
    /** Where patience ended the run, what is done is all there was to do. */
    end(): void {
      if (done < total) show(done);
    },
  };
}

function lossNotFinite(loss: number, epoch: number): ScorerError {
  return new ScorerError({
    code: 'LOSS_NOT_FINITE',
    what: `the training loss is ${loss}`,
    where: `epoch ${epoch}`,
    hint: 'lower --lr, and look for values that are not finite in the shards with scorer-shards verify',
  });
}
