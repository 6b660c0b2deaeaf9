import { join } from 'node:path';
import type { ScorerConfig } from '@scorer/core/schema';
import { counted } from '../figure-text.js';
import { comparison, type Judgement, unbeaten } from '../judgement.js';
import type { SplitSummary, TrainingResult } from '../result.js';
import type { Epoch } from '../selection.js';

export function describeEpoch(
  epoch: number,
  { loss, auc, auc_within_question: within, f1 }: Epoch,
  part: string | undefined,
): string {
  const name = part === undefined ? '' : `${part}, `;
  const inQuestions = within === null ? '' : ` (${within.toFixed(4)} within questions)`;
  return `${name}epoch ${epoch}: loss ${loss.toFixed(4)}, AUC ${auc.toFixed(4)}${inQuestions}, F1 ${f1.toFixed(4)}`;
}

export function runJson({ best, perEpoch, split, ...result }: TrainingResult): object {
  const { epoch, ...metrics } = best;
  return {
    ...metrics,
    best_epoch: epoch,
    epochs: perEpoch.length,
    checkpoint: result.checkpoint,
    checkpoint_folder: result.checkpointFolder,
    plots_folder: result.plotsFolder,
    split: split.kind,
    shared_questions: split.sharedQuestions,
    train: split.train,
    validation: split.validation,
    labels: labelsOf(result.config),
    traces_without_steps: result.tracesWithoutSteps,
    ...result.judgement,
    repeated: result.repeated,
  };
}

export function describeRun({ name, config, best, perEpoch, split, judgement, ...result }: TrainingResult): string {
  const rows: [string, string][] = [
    ['scorer', `${name}: ${describeScorer(config)}`],
    ['training', describeSide(split.train)],
    ...labelRows(config),
    ['validation', `${describeSide(split.validation)}, ${describeSplit(split)}`],
    ['', ''],
    ['AUC', best.auc.toFixed(4)],
    ['accuracy', best.accuracy.toFixed(4)],
    ['F1', best.f1.toFixed(4)],
    ['precision', best.precision.toFixed(4)],
    ['recall', best.recall.toFixed(4)],
    ['best epoch', `${best.epoch} of ${perEpoch.length}`],
    ['', ''],
    ...(judgement ? [...comparisonRows(best.auc, judgement), ['', ''] as [string, string]] : []),
    ['checkpoint', result.checkpoint],
    ['report', join(result.plotsFolder, 'report.html')],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.map(([label, value]) => `${label.padEnd(width)} ${value}`.trimEnd());
  if (result.tracesWithoutSteps > 0)
    lines.push(`left out, for want of a step: ${counted(result.tracesWithoutSteps, 'trace')}`);
  if (split.sharedQuestions > 0) lines.push(describeLeak(split));
  const better = judgement ? unbeaten(best.auc, judgement) : [];
  if (better.length > 0) lines.push(`the scorer does not beat what needs no hidden state: ${better.join('; ')}`);
  if (result.repeated) lines.push('this run had been finished before; --overwrite trains again');
  return lines.join('\n');
}

/** What the steps that it learned from were labelled by. */
function labelsOf({ labels, labels_fingerprint }: ScorerConfig): 'traces' | 'steps' | 'file' {
  return labels ?? (labels_fingerprint === undefined ? 'traces' : 'file');
}

const LABEL_NAMES = {
  traces: 'whether the trace is right',
  steps: 'labels of the steps in the shards',
  file: 'labels from a file',
} as const;

/** Nothing where each step has the label of its trace, on both sides. */
function labelRows(config: ScorerConfig): [string, string][] {
  const labels = labelsOf(config);
  const validation = config.split === 'folder' ? (config.validation_labels ?? 'traces') : labels;
  if (labels === 'traces' && validation === 'traces') return [];
  const other = labels === validation ? '' : `; validation by ${LABEL_NAMES[validation]}`;
  return [['learnt', `${LABEL_NAMES[labels]}${other}`]];
}

function describeScorer({ input_size, hidden_units, feature, feature_layers, model }: ScorerConfig): string {
  const widths = [input_size, hidden_units, 1].flat().join(' → ');
  const layers = feature_layers.length === 1 ? `layer ${feature_layers[0]}` : `layers ${feature_layers.join(', ')}`;
  return `${widths} on ${feature} (${layers}) of ${model}`;
}

/** AUC of the scorer and of guesses on the same steps, over all of them and within questions. */
function comparisonRows(auc: number, judgement: Judgement): [string, string][] {
  const rows = comparison(auc, judgement).map(({ name, aucs }): [string, string] => [
    name,
    `${aucs.pooled.toFixed(4)}  ${aucs.within_question?.toFixed(4) ?? '–'}`,
  ]);
  const questions = `${judgement.questions_with_both} with right and wrong steps`;
  return [['AUC of', `all     within questions (${questions})`], ...rows];
}

function describeSplit({ kind }: SplitSummary): string {
  return kind === 'folder' ? 'from a folder of its own' : `split by ${kind}`;
}

function describeLeak({ kind, sharedQuestions, validation }: SplitSummary): string {
  const way = kind === 'folder' ? 'questions of its own' : '--split question';
  return (
    `this split leaks: ${sharedQuestions} of ${counted(validation.questions, 'validation question')} ` +
    `${sharedQuestions === 1 ? 'is' : 'are'} also trained on, so new questions will score lower; ${way} shows how much`
  );
}

function describeSide({ questions, traces, steps, positives }: SplitSummary['train']): string {
  const share = ((100 * positives) / steps).toFixed(0);
  return `${counted(steps, 'step')} of ${counted(traces, 'trace')}, ${counted(questions, 'question')}; ${share} % of the steps right`;
}
