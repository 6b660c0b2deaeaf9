import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import {
  type FileLock,
  fileExists,
  lockFile,
  makeFolder,
  removeStaleTemporaries,
  writeFileAtomic,
} from '@scorer/core/files';
import { type ScorerConfig, scorerConfigSchema } from '@scorer/core/schema';
import type { SplitFile } from './data/split-file.js';
import type { TrainingState } from './engine/engine.js';
import type { NetworkShape, Parameters } from './engine/network.js';
import type { Metrics } from './metrics.js';
import { type MetricsFile, metricsFileSchema } from './metrics-file.js';
import type { Overwrite } from './overwrite.js';
import { parseOrUndefined } from './parse-or-undefined.js';
import { bestEpoch, type Epoch, type Selection } from './selection.js';
import { readState, writeScorer, writeState } from './weights-files.js';

/** What a training run leaves in its folder. */
export const FILES = {
  /** The best weights so far. */
  scorer: 'scorer.safetensors',
  /** What training goes on from. */
  state: 'state.safetensors',
  config: 'config.json',
  /** Which traces are validation. */
  split: 'split.json',
  metrics: 'metrics.json',
  /** One line an epoch. */
  epochs: 'metrics.jsonl',
} as const;

export const checkpointName = (epoch: number, { auc, f1 }: Metrics): string =>
  `checkpoint_epoch${epoch}_auc${auc.toFixed(4)}_f1${f1.toFixed(4)}.safetensors`;

const CHECKPOINT_NAME = /^checkpoint_epoch\d+_auc[\d.]+_f1[\d.]+\.safetensors$/;

/** The folder of a run, under its lock. */
export interface RunFolder {
  readonly path: string;
  /** The epochs that are done, from those of earlier calls on. */
  readonly history: readonly Epoch[];
  /** Where to go on from; undefined at the start of a run. */
  readonly state: TrainingState | undefined;
  /** metrics.json of a run that has come to its end. */
  readonly finished: MetricsFile | undefined;
  /**
   * Makes an epoch durable: its weights if they are the best ones, and the state after it.
   * @throws ScorerError `LOCK_LOST` (retryable) where a process on another host has taken the run over
   */
  save(epoch: FinishedEpoch): Promise<void>;
  /** Marks the run as finished. */
  finish(metrics: MetricsFile): Promise<void>;
  /** Releases the lock. */
  close(): Promise<void>;
}

interface FinishedEpoch {
  /** Up to this epoch. */
  readonly history: readonly Epoch[];
  readonly state: TrainingState;
  /** What users load: the weights of the state, for rows as they come. */
  readonly weights: Parameters;
  readonly metrics: MetricsFile;
}

/** Which checkpoints of epochs stay: that of the best one, of all that were the best when they came, or the last few. */
export type KeptCheckpoints = 'best' | 'all' | number;

/**
 * Takes a folder for a run: a new one, or one where a run of the same configuration was begun.
 * @param overwrite `replace` removes what a run has left there; `refuse` throws where it is of another configuration
 * @throws ScorerError `RUN_LOCKED` (retryable), `RUN_EXISTS` (usage), `RUN_DAMAGED` where files of a run that was begun
 * are missing or broken
 */
export async function openRunFolder(
  path: string,
  { config, split }: { config: ScorerConfig; split: SplitFile },
  { overwrite, keep }: { overwrite: Overwrite; keep: KeptCheckpoints },
): Promise<RunFolder> {
  await makeFolder(path);
  const lock = await takeLock(path);
  try {
    await removeStaleTemporaries(path);
    if (overwrite === 'replace') await removeRun(path);
    await refuseOther(config, path);
    const finished = await readMetrics(path);
    const [network, trained] = [networkOf(config), trainedNetworkOf(config)];
    const statePath = join(path, FILES.state);
    const isBegun = !finished?.finished && (await fileExists(statePath));
    const progress = isBegun ? await readProgress(path, trained) : undefined;
    return {
      path,
      history: progress?.history ?? [],
      state: progress?.state,
      finished: finished?.finished ? finished : undefined,
      async save({ history, state, weights, metrics }) {
        await lock.assertHeld();
        const epoch = history.length;
        if (epoch === 1) {
          await writeJson(join(path, FILES.config), config);
          await writeFileAtomic(join(path, FILES.split), `${JSON.stringify(split)}\n`);
        }
        if (bestEpoch(history, config.select) === epoch) {
          const name = checkpointName(epoch, history.at(-1)!);
          for (const file of [FILES.scorer, name]) await writeScorer(join(path, file), network, weights);
          await removeCheckpoints(path, improvements(history, config.select), keep);
        }
        await writeState(statePath, trained, state, history);
        await writeFileAtomic(
          join(path, FILES.epochs),
          metrics.epochs.map((line) => `${JSON.stringify(line)}\n`).join(''),
        );
        await writeJson(join(path, FILES.metrics), metrics);
      },
      async finish(metrics) {
        await lock.assertHeld();
        await writeJson(join(path, FILES.metrics), metrics);
      },
      close: () => lock.release(),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** The network that users load, for rows as they come. */
export function networkOf({ input_size, hidden_units }: ScorerConfig): NetworkShape {
  return { inputSize: input_size, hiddenUnits: [hidden_units].flat() };
}

/** The network while it is trained. */
export function trainedNetworkOf(config: ScorerConfig): NetworkShape {
  return { ...networkOf(config), inputSize: config.pca ?? config.input_size };
}

/** Where an interrupted run goes on from. */
async function readProgress(folder: string, network: NetworkShape): ReturnType<typeof readState> {
  for (const name of [FILES.config, FILES.split, FILES.scorer]) {
    if (!(await fileExists(join(folder, name)))) throw runDamaged(`the run that was begun here lacks ${name}`, folder);
  }
  try {
    return await readState(join(folder, FILES.state), network);
  } catch (error) {
    if (!(error instanceof ScorerError) || error.kind !== 'input') throw error;
    throw runDamaged(`the run that was begun here has a broken ${FILES.state}: ${error.what}`, folder, error);
  }
}

function runDamaged(what: string, where: string, cause?: unknown): ScorerError {
  const hint = 'start over with --overwrite, or use another --config-name';
  return new ScorerError({ code: 'RUN_DAMAGED', what, where, hint, cause });
}

async function takeLock(path: string): Promise<FileLock> {
  const lock = await lockFile(join(path, 'run'));
  if (lock) return lock;
  throw new ScorerError({
    code: 'RUN_LOCKED',
    kind: 'retryable',
    what: 'another process trains here',
    where: path,
    hint: 'wait for it, or use another --config-name',
  });
}

/** The checkpoints of the epochs that were the best when they came, in order. */
function improvements(history: readonly Epoch[], select: Selection): string[] {
  const epochs = history.map((_, i) => bestEpoch(history.slice(0, i + 1), select));
  return [...new Set(epochs)].map((epoch) => checkpointName(epoch, history[epoch - 1]!));
}

/** @param names of all checkpoints so far, the best one last */
async function removeCheckpoints(path: string, names: readonly string[], keep: KeptCheckpoints): Promise<void> {
  if (keep === 'all') return;
  for (const name of names.slice(0, keep === 'best' ? -1 : -keep)) await rm(join(path, name), { force: true });
}

/** Removes what a run writes, and nothing else. */
async function removeRun(path: string): Promise<void> {
  const names = await readdir(path);
  const ours = names.filter((name) => Object.values<string>(FILES).includes(name) || CHECKPOINT_NAME.test(name));
  // config.json last: while it stands, the rest is known to belong to it.
  for (const name of ours.sort((a, b) => Number(a === FILES.config) - Number(b === FILES.config))) {
    await rm(join(path, name));
  }
}

/** Compares config.json, where there is one, with the run's own. */
async function refuseOther(config: ScorerConfig, folder: string): Promise<void> {
  const path = join(folder, FILES.config);
  const text = await readText(path);
  if (text === undefined) return;
  const found = scorerConfigSchema.safeParse(parseOrUndefined(text));
  const differences = found.success ? configDifferences(found.data, config) : ['it is not one that this version reads'];
  if (differences.length === 0) return;
  throw new ScorerError({
    code: 'RUN_EXISTS',
    kind: 'usage',
    what: `a run with other settings or data stands here: ${differences.join('; ')}`,
    where: path,
    hint: 'give the same settings, another --config-name, or --overwrite to start over',
  });
}

/** What follows from settings and data: no one can give it otherwise. */
const DERIVED: ReadonlySet<string> = new Set(['pos_weight', 'input_size', 'layers', 'hidden_size']);

/** Named by what was given; by what follows only where that alone differs, as of another version of the software. */
function configDifferences(found: ScorerConfig, wanted: ScorerConfig): string[] {
  const written = (config: ScorerConfig, key: string): string =>
    JSON.stringify(config[key as keyof ScorerConfig]) ?? 'not set';
  const different = Object.keys(wanted).filter((key) => written(found, key) !== written(wanted, key));
  const given = different.filter((key) => !DERIVED.has(key));
  return (given.length > 0 ? given : different).map(
    (key) => `${key} is ${written(found, key)} there, ${written(wanted, key)} here`,
  );
}

async function readMetrics(folder: string): Promise<MetricsFile | undefined> {
  const text = await readText(join(folder, FILES.metrics));
  if (text === undefined) return undefined;
  return metricsFileSchema.safeParse(parseOrUndefined(text)).data;
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}

async function readText(path: string): Promise<string | undefined> {
  return (await fileExists(path)) ? readFile(path, 'utf8') : undefined;
}
