import { createHash } from 'node:crypto';
import { ScorerError } from '@scorer/core/errors';
import { openShardDataset, type ShardDataset } from '@scorer/core/shards';
import type { FeatureRows } from '../engine/engine.js';
import type { TrainSettings } from '../options.js';
import type { SplitSummary } from '../result.js';
import { rowsOfSet, type SetRows } from './batches.js';
import { type FeatureSource, featureSource } from './features.js';
import { readLabels, stepLabelsOf, type TraceLabels } from './labels.js';
import { type MemoryPlan, planMemory } from './memory.js';
import { type QuestionNumbers, selectSteps, type TraceSteps } from './rows.js';
import { type StepSet, separateSteps, splitSteps } from './split.js';
import { type SplitFile, splitFile } from './split-file.js';

/** Shards, made ready to train on. */
export interface TrainingData {
  readonly source: FeatureSource;
  readonly memory: MemoryPlan;
  readonly train: DataSide;
  readonly validation: DataSide;
  readonly split: SplitSummary;
  readonly splitFile: SplitFile;
  /** The text of each question, by number. */
  readonly questionTexts: readonly string[];
  readonly tracesWithoutSteps: number;
  readonly fingerprints: Fingerprints;
  /** What the steps of each side are labelled by: `traces` is whether the trace is right. */
  readonly labelledBy: { readonly train: LabelOrigin; readonly validation: LabelOrigin };
  /** Gives up files, threads and memory; may be called again. */
  close(): Promise<void>;
}

/** What one side of the split is made of. */
export interface DataSide {
  readonly dataset: ShardDataset;
  /** All steps of the folder that could be on this side. */
  readonly steps: TraceSteps;
  /** Those that are. */
  readonly set: StepSet;
  /** Their features. */
  readonly rows: SetRows;
}

type LabelOrigin = 'traces' | TraceLabels['origin'];

interface Fingerprints {
  /** SHA-256 over the checksums of the shards. */
  readonly data: string;
  readonly validation: string | undefined;
  readonly labels: string | undefined;
}

/**
 * Opens the shards, chooses the steps and splits them.
 * @throws ScorerError `NO_SHARDS`, `SHARDS_DISAGREE`, `LAYER_NOT_KEPT`, `NO_STEPS`, `VALIDATION_EMPTY`, `ONE_CLASS`,
 * `MEMORY_TOO_SMALL`, the codes of `readLabels`
 */
export async function openTrainingData(settings: TrainSettings): Promise<TrainingData> {
  const dataset = await openShardDataset(settings.trainDir);
  let other: ShardDataset | undefined;
  const closeAll = async (): Promise<void> => {
    await Promise.all([dataset.close(), other?.close()]);
  };
  try {
    const source = featureSource(dataset, settings);
    const questionNumbers: QuestionNumbers = new Map();
    if (settings.validationDir !== undefined) {
      other = await openShardDataset(settings.validationDir);
      checkAgreement(dataset, other);
    }
    const { labels, validationLabels, fingerprint } = await labelsOf({ dataset, other }, settings);
    const ratioOnce = settings.resampleSteps ? 1 : settings.stepSampleRatio;
    const steps = await chooseSteps(dataset, { ...settings, stepSampleRatio: ratioOnce }, questionNumbers, labels);
    const { train, validation, summary, file, validationSteps } = other
      ? await separate(steps, other, settings, { questionNumbers, labels: validationLabels })
      : split(steps, dataset, settings);
    checkSides(summary, train, settings, labels);
    if (settings.loss === 'pairwise') checkPairs(train, questionsOfSet({ set: train, steps }), settings.trainDir);

    const { rowBytes } = source;
    const rows = train.rows.length + validation.rows.length;
    const memory = planMemory({ memoryBytes: settings.memory, rowBytes, batchSize: settings.batchSize, rows });
    const validationSource = other ? featureSource(other, settings) : source;
    const spares: FeatureRows[] = [];
    const trainRows = rowsOfSet(source, train, memory, spares);
    const validationRows = rowsOfSet(validationSource, validation, memory, spares);
    let closed: Promise<void> | undefined;
    return {
      source,
      memory,
      train: { dataset, steps, set: train, rows: trainRows },
      validation: { dataset: other ?? dataset, steps: validationSteps, set: validation, rows: validationRows },
      split: summary,
      splitFile: file,
      questionTexts: [...questionNumbers.keys()],
      tracesWithoutSteps: steps.tracesWithoutSteps + (other ? validationSteps.tracesWithoutSteps : 0),
      fingerprints: {
        data: dataFingerprint(dataset),
        validation: other && dataFingerprint(other),
        labels: fingerprint,
      },
      labelledBy: {
        train: labels?.origin ?? 'traces',
        validation: (other ? validationLabels : labels)?.origin ?? 'traces',
      },
      close() {
        for (const rows of [trainRows, validationRows]) rows.release();
        closed ??= closeAll();
        return closed;
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** A file's labels before those that steps have in the shards; undefined where that a trace is right counts for its steps. */
async function labelsOf(
  { dataset, other }: { dataset: ShardDataset; other: ShardDataset | undefined },
  { labels: path, stepLabels }: TrainSettings,
) {
  const ofSteps = (folder: ShardDataset | undefined) =>
    folder && stepLabels === 'use' ? stepLabelsOf(folder) : undefined;
  const file = path === undefined ? undefined : await readLabels(path, dataset, other);
  return {
    labels: file?.labels ?? (await ofSteps(dataset)),
    validationLabels: file?.validation ?? (await ofSteps(other)),
    fingerprint: file?.fingerprint,
  };
}

async function chooseSteps(
  dataset: ShardDataset,
  settings: TrainSettings,
  questionNumbers: QuestionNumbers,
  labels?: TraceLabels,
): Promise<TraceSteps> {
  const steps = await selectSteps(dataset, settings, questionNumbers, labels);
  if (steps.rows.length === 0) throw noSteps(dataset.path, settings);
  return steps;
}

function split(steps: TraceSteps, dataset: ShardDataset, settings: TrainSettings) {
  const { resampleSteps, stepSampleRatio } = settings;
  const validationStepRatio = resampleSteps ? stepSampleRatio : 1;
  const { sides, ...parts } = splitSteps(steps, { ...settings, validationStepRatio });
  return { ...parts, file: splitFile(settings.split, dataset, steps, sides), validationSteps: steps };
}

async function separate(
  steps: TraceSteps,
  validationDataset: ShardDataset,
  settings: TrainSettings,
  { questionNumbers, labels }: { questionNumbers: QuestionNumbers; labels: TraceLabels | undefined },
) {
  const ofAllTraces = { ...settings, maxTraces: undefined };
  const validationSteps = await chooseSteps(validationDataset, ofAllTraces, questionNumbers, labels);
  const file = splitFile('folder', validationDataset, validationSteps);
  return { ...separateSteps(steps, validationSteps), file, validationSteps };
}

/** @throws ScorerError `SHARDS_DISAGREE` */
function checkAgreement(train: ShardDataset, validation: ShardDataset): void {
  const properties: [name: string, of: (dataset: ShardDataset) => unknown][] = [
    ['model', ({ shards }) => shards[0]!.metadata.model_fingerprint],
    ['layers', ({ layers }) => layers.join(', ')],
    ['hidden size', ({ hiddenSize }) => hiddenSize],
    ['storage', ({ storage }) => storage],
  ];
  for (const [name, of] of properties) {
    if (of(train) === of(validation)) continue;
    const what = `${name} is ${of(validation)}, and ${of(train)} in ${train.path}`;
    const hint = 'extract both with the same model and settings';
    throw new ScorerError({ code: 'SHARDS_DISAGREE', what, where: validation.path, hint });
  }
}

/** What config.json knows a folder of shards by: `data_fingerprint`. */
export function dataFingerprint({ shards }: ShardDataset): string {
  const hash = createHash('sha256');
  for (const { metadata } of shards) hash.update(metadata.data_sha256);
  return hash.digest('hex');
}

function noSteps(where: string, { regions }: TrainSettings): ScorerError {
  const hint =
    regions === 'reasoning'
      ? 'with --regions all the steps inside the prompts count as well'
      : 'a step ends with a blank line; check extracted_position in the step records';
  return new ScorerError({ code: 'NO_STEPS', what: 'no trace has a step to learn from', where, hint });
}

/** @throws ScorerError `NO_PAIRS` */
function checkPairs({ targets }: StepSet, questions: Uint32Array, where: string): void {
  const first = new Map<number, number>();
  for (const [i, question] of questions.entries()) {
    if (!first.has(question)) first.set(question, targets[i]!);
    if (first.get(question) !== targets[i]) return;
  }
  throw new ScorerError({
    code: 'NO_PAIRS',
    what: 'no question has right and wrong training steps for the pairwise loss to compare',
    where,
    hint: 'extract several traces a question, or use --loss bce',
  });
}

function checkSides(
  { kind, train, validation }: SplitSummary,
  { targets }: StepSet,
  settings: TrainSettings,
  labels: TraceLabels | undefined,
): void {
  const { fold } = settings;
  const where = fold ? `${settings.trainDir}, fold ${fold.number} of ${fold.of}` : settings.trainDir;
  if (train.steps === 0 || validation.steps === 0) {
    throw new ScorerError({
      code: 'VALIDATION_EMPTY',
      what: `too few ${kind}s to set some apart for validation${train.steps === 0 ? ', and train on others' : ''}`,
      where,
      hint: `${fold ? 'give fewer --folds, ' : ''}extract more, or give --split trace or step`,
    });
  }
  if (targets.every((target) => target === targets[0])) {
    const which = train.positives === 0 ? 'wrong' : 'right';
    const [are, from, source] = labels
      ? [which, 'steps', 'their labels']
      : [`of ${which} traces`, 'traces', 'is_correct in the step records'];
    throw new ScorerError({
      code: 'ONE_CLASS',
      what: `all ${train.steps} training steps are ${are}`,
      where,
      hint: `a scorer learns from right and wrong ${from}; check ${source}`,
    });
  }
}

/** [steps of the set]: the trace of each, as its place among the traces of `steps`. */
export function tracesOfSet({ rows }: StepSet, { rows: allRows, offsets }: TraceSteps): Uint32Array {
  let trace = 0;
  return rows.map((row) => {
    while (allRows[offsets[trace + 1]! - 1]! < row) trace++;
    return trace;
  });
}

/** [steps of the set]: number of each one's question. */
export function questionsOfSet({ set, steps }: Pick<DataSide, 'set' | 'steps'>): Uint32Array {
  return tracesOfSet(set, steps).map((trace) => steps.questions[trace]!);
}
