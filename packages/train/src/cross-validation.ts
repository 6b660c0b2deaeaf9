import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { parseOptions } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { createAtomicFile, writeFileAtomic } from '@scorer/core/files';
import { z } from 'zod';
import { trainOptionsSchema } from './options.js';
import type { TrainingResult } from './result.js';
import { scoreTraces } from './scores/score-traces.js';
import { runFolders, type TrainOptions, trainWith } from './train.js';
import { warnOnce } from './warn-once.js';

/** So many scorers at most: each is trained on nearly all of the data. */
const MAX_FOLDS = 100;

const foldsSchema = z.object({ folds: z.number().int().min(2).max(MAX_FOLDS) });

export type CrossValidationOptions = TrainOptions & { folds: number };

const FIGURES = ['auc', 'accuracy', 'f1', 'precision', 'recall', 'auc_within_question', 'trace_auc'] as const;
/** Null where a fold has no question with right and wrong steps. */
export type FoldFigures = Readonly<Record<(typeof FIGURES)[number], number | null>>;

export interface CrossValidationResult {
  /** The run of each fold, in checkpoints/NAME/fold1, fold2, … */
  readonly folds: readonly TrainingResult[];
  readonly mean: FoldFigures;
  /** Between folds, with division by k − 1. */
  readonly standardDeviation: FoldFigures;
  /**
   * Scores of every trace by the scorer that was not trained on its part, as `scoreTraces` writes them; undefined with a
   * split by step, of which no scorer has seen nothing of a trace.
   */
  readonly outOfFold: string | undefined;
}

/**
 * Trains k scorers, each validated on another k-th of the questions (or traces, or steps). Run again, it goes on where it
 * stopped.
 * @throws ScorerError the codes of `train` and `scoreTraces`
 */
export async function crossValidate(options: CrossValidationOptions): Promise<CrossValidationResult> {
  const { folds: k } = parseOptions(foldsSchema, options);
  const settings = parseOptions(trainOptionsSchema, options);
  if (settings.validationDir !== undefined) {
    const what = 'each fold validates on a part of the training folder';
    const [where, hint] = ['--folds with --validation-dir', 'leave one of the two out'];
    throw new ScorerError({ code: 'BAD_OPTION', kind: 'usage', what, where, hint });
  }
  const { checkpoints } = runFolders(settings);

  const hooks = warnOnce(options);
  const folds: TrainingResult[] = [];
  const scoreFiles: string[] = [];
  for (let number = 1; number <= k; number++) {
    const fold = { ...settings, fold: { number, of: k }, part: `fold${number}` };
    const result = await trainWith(fold, hooks);
    folds.push(result);
    if (settings.split === 'step') continue;
    const outputFile = join(result.checkpointFolder, 'validation_scores.jsonl');
    await scoreTraces({
      scorer: result.checkpointFolder,
      inputDir: settings.trainDir,
      outputFile,
      only: 'validation',
      device: settings.device,
      threads: settings.threads,
      overwrite: result.repeated ? 'refuse' : 'replace',
      signal: options.signal,
      onProgress: options.onProgress,
    });
    scoreFiles.push(outputFile);
  }

  const outOfFold = scoreFiles.length > 0 ? join(checkpoints, 'out_of_fold.jsonl') : undefined;
  if (outOfFold !== undefined) await concatenate(scoreFiles, outOfFold);
  const figures = folds.map(figuresOf);
  const result = { folds, mean: meanOf(figures), standardDeviation: deviationOf(figures), outOfFold };
  await writeFileAtomic(join(checkpoints, 'folds.json'), `${JSON.stringify(foldsJson(result), null, 2)}\n`);
  return result;
}

/** folds.json, and what `--json` prints beside paths. */
export function foldsJson({ folds, mean, standardDeviation }: CrossValidationResult): object {
  return {
    folds: folds.map(({ best }, i) => ({ fold: i + 1, best_epoch: best.epoch, ...figuresOf(folds[i]!) })),
    mean,
    standard_deviation: standardDeviation,
  };
}

export function figuresOf({ best, judgement }: TrainingResult): FoldFigures {
  const { auc, accuracy, f1, precision, recall } = best;
  return {
    auc,
    accuracy,
    f1,
    precision,
    recall,
    auc_within_question: judgement?.auc_within_question ?? null,
    trace_auc: judgement?.trace_auc.pooled ?? null,
  };
}

function meanOf(figures: readonly FoldFigures[]): FoldFigures {
  return forEachFigure(figures, (values) => sum(values) / values.length);
}

function deviationOf(figures: readonly FoldFigures[]): FoldFigures {
  return forEachFigure(figures, (values) => {
    const mean = sum(values) / values.length;
    return Math.sqrt(sum(values.map((value) => (value - mean) ** 2)) / (values.length - 1));
  });
}

/** A statistic of each figure, null where a fold lacks it. */
function forEachFigure(figures: readonly FoldFigures[], statistic: (values: number[]) => number): FoldFigures {
  const of = (name: (typeof FIGURES)[number]): number | null => {
    const values = figures.map((figure) => figure[name]).filter((value) => value !== null);
    return values.length === figures.length ? statistic(values) : null;
  };
  return Object.fromEntries(FIGURES.map((name) => [name, of(name)])) as FoldFigures;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

async function concatenate(paths: readonly string[], target: string): Promise<void> {
  const file = await createAtomicFile(target);
  try {
    for (const path of paths) {
      for await (const bytes of createReadStream(path)) await file.write(bytes as Uint8Array);
    }
    await file.commit();
  } catch (error) {
    await file.discard();
    throw error;
  }
}
