import { join } from 'node:path';
import type { ScorerConfig } from '@scorer/core/schema';
import { checkpointName } from './checkpoint.js';
import type { Judgement } from './judgement.js';
import type { Metrics } from './metrics.js';
import type { MetricsFile } from './metrics-file.js';

/** What a run's plots show; several runs can share one figure. */
export interface RunCurves {
  /** The configuration's name, `--config_name`. */
  readonly name: string;
  /** Mean training loss of each epoch, in order from epoch 1. */
  readonly lossCurve: readonly number[];
  /** Validation metrics of each epoch, as long as `lossCurve`. */
  readonly perEpoch: readonly Metrics[];
  /** Validation metrics of the kept weights, and the epoch that they come from (from 1). */
  readonly best: Metrics & { readonly epoch: number };
}

/** What one side of the split holds. */
export interface SideCounts {
  readonly questions: number;
  readonly traces: number;
  readonly steps: number;
  /** Right steps, by the label of their trace or by their own. */
  readonly positives: number;
}

export interface SplitSummary {
  /** `folder`: nothing was split, validation has shards of its own. */
  readonly kind: ScorerConfig['split'];
  readonly train: SideCounts;
  readonly validation: SideCounts;
  /** Questions that stand on both sides. Above 0 the split leaks: validation looks better than new questions will. */
  readonly sharedQuestions: number;
}

/** What `train` returns. */
export interface TrainingResult extends RunCurves {
  readonly config: ScorerConfig;
  readonly split: SplitSummary;
  /** Traces without a step to learn from, left out. */
  readonly tracesWithoutSteps: number;
  /** The kept weights looked at closely; missing in the results of older versions. */
  readonly judgement?: Judgement | undefined;
  /** The folder with scorer.safetensors, config.json, metrics.json and state.safetensors. */
  readonly checkpointFolder: string;
  /** The best epoch's checkpoint, a path in that folder. */
  readonly checkpoint: string;
  /** The folder with the plots and report.html. */
  readonly plotsFolder: string;
  /** The run had been finished before; nothing was computed. */
  readonly repeated: boolean;
}

/** What the report shows beyond the curves. */
export interface ReportDetails {
  readonly config: ScorerConfig;
  readonly split: SplitSummary;
  readonly tracesWithoutSteps: number;
  readonly judgement?: Judgement | undefined;
  readonly validation: ValidationScores;
}

/** Of the kept weights on the validation steps. */
export interface ValidationScores {
  /** [S] probabilities. */
  readonly scores: Float32Array;
  /** [S]: 1 = right. */
  readonly labels: Uint8Array;
}

/** The result of a run as its metrics.json tells it. */
export function trainingResult({
  metrics,
  ...run
}: {
  config: ScorerConfig;
  metrics: MetricsFile;
  checkpointFolder: string;
  plotsFolder: string;
  repeated: boolean;
}): TrainingResult {
  const { auc, accuracy, f1, precision, recall, best_epoch: epoch, split } = metrics;
  return {
    ...run,
    name: run.config.name,
    lossCurve: metrics.loss_curve,
    perEpoch: metrics.epochs,
    best: { epoch, auc, accuracy, f1, precision, recall },
    split: {
      kind: split.kind,
      train: split.train,
      validation: split.validation,
      sharedQuestions: split.shared_questions,
    },
    tracesWithoutSteps: metrics.traces_without_steps,
    judgement: metrics.judgement,
    checkpoint: join(run.checkpointFolder, checkpointName(epoch, metrics.epochs[epoch - 1]!)),
  };
}
