import { chartCard, type Html, html, renderPage, tile } from '@scorer/core/report';
import type { ScorerConfig } from '@scorer/core/schema';
import { count } from '../figure-text.js';
import { comparison, unbeaten } from '../judgement.js';
import { type Metrics, THRESHOLD } from '../metrics.js';
import type { ReportDetails, RunCurves, SideCounts, SplitSummary } from '../result.js';
import { reliability } from './curves.js';
import { lossCurves, metricsByEpoch, rocFigure, scoreDistribution, stepReliability } from './figures.js';

/**
 * One page that needs nothing else: metrics, charts, data and settings of a run.
 * @param plotlySource the library that draws the charts, inlined
 */
export function renderReport(run: RunCurves, details: ReportDetails, plotlySource: string): string {
  const { config, split, validation } = details;
  const body = html`
${leakWarning(split)}
${shortcutWarning(run, details)}
<section aria-label="Validation metrics at the best epoch" class="tiles">${metricTiles(run, details)}</section>

<h2>Training</h2>
<div class="charts two">
${chartCard('loss', 'Training loss', 'Mean loss of each epoch’s batches. The ring marks the epoch whose weights are kept.')}
${chartCard('metrics', 'Validation metrics by epoch', `The kept epoch (dotted line) is the best by ${SELECTION[config.select]}.`)}
</div>

<h2>Validation at epoch ${run.best.epoch}</h2>
<div class="charts three">
${chartCard('roc', `ROC curve, AUC ${run.best.auc.toFixed(3)}`, 'AUC is the chance that a step of a right trace scores above a step of a wrong one.')}
${chartCard('distribution', 'Score distribution', 'Each class as a share of its own steps. The less they overlap, the better the scorer.')}
${chartCard('reliability', 'Reliability', reliabilityCaption(details))}
</div>

${comparisonSection(run, details)}

<h2>Data</h2>
<div class="card">
<div class="scroll">${splitTable(split)}</div>
<p class="note">${splitNote(details)}</p>
</div>

<h2>Settings</h2>
<div class="card"><dl>${settings(config)}</dl></div>

<details class="card">
<summary>Every epoch in figures</summary>
<div class="scroll">${epochTable(run)}</div>
</details>`;
  return renderPage({
    kind: 'Step scorer, training report',
    heading: run.name,
    lead: summary(config),
    body,
    figures: {
      loss: (theme) => lossCurves([run], theme),
      metrics: (theme) => metricsByEpoch(run, theme),
      roc: (theme) => rocFigure(validation, theme),
      distribution: (theme) => scoreDistribution(validation, theme),
      reliability: (theme) => stepReliability(validation, theme),
    },
    plotlySource,
  });
}

function summary({ model, feature, feature_layers: layers, input_size: inputSize, split }: ScorerConfig): string {
  const layerList = `${layers.length === 1 ? 'layer' : 'layers'} ${layers.join(', ')}`;
  return `${model} · feature ${feature} (${layerList}, ${count(inputSize)} values) · ${split === 'folder' ? 'validation from a folder of its own' : `split by ${split}`}`;
}

const SELECTION = { auc_f1: '0.75 · AUC + 0.25 · F1', within_question: 'AUC within questions' };

function leakWarning({ kind, sharedQuestions }: SplitSummary): Html {
  if (kind === 'question' || sharedQuestions === 0) return html``;
  const shared = kind === 'step' ? 'Steps of one trace stand' : 'Traces of one question stand';
  return html`<div class="card warning" role="note">
<h3>This split leaks</h3>
<p>${shared} on both sides: ${count(sharedQuestions)} questions of the validation set were also trained on.
The metrics below are better than they will be on new questions; split by question to estimate those.</p>
</div>`;
}

function shortcutWarning({ best }: RunCurves, { judgement }: ReportDetails): Html {
  const better = judgement ? unbeaten(best.auc, judgement) : [];
  if (better.length === 0) return html``;
  return html`<div class="card warning" role="note">
<h3>A guess is as good</h3>
<p>The scorer does not beat what needs no hidden state: ${better.join('; ')}.</p>
</div>`;
}

/** The scorer's AUCs beside those of guesses. */
function comparisonSection({ best }: RunCurves, { judgement }: ReportDetails): Html {
  if (!judgement) return html``;
  const rows = comparison(best.auc, judgement).map(
    ({ name, aucs }) => html`
<tr><th scope="row">${name}</th><td>${decimals(aucs.pooled)}</td><td>${aucs.within_question === null ? '–' : decimals(aucs.within_question)}</td></tr>`,
  );
  return html`<h2>What it has learned</h2>
<div class="card">
<div class="scroll"><table>
<thead><tr><th scope="col">AUC of</th><th scope="col">all validation steps</th><th scope="col">within questions</th></tr></thead>
<tbody>${rows}</tbody>
</table></div>
<p class="note">Over all steps a scorer gains by telling easy questions from hard ones. Within a question, as votes need it, only
telling right traces from wrong ones counts: the mean over the ${count(judgement.questions_with_both)} questions that have both. The
other lines need no hidden state; a scorer that does not beat them has learned a shortcut.</p>
</div>`;
}

/** Each metric beside what a scorer that has learned nothing gets on the same steps. */
function metricTiles({ best, perEpoch }: RunCurves, { config, split }: ReportDetails): Html[] {
  const rightShare = split.validation.positives / Math.max(split.validation.steps, 1);
  const isMostlyRight = rightShare > 0.5;
  const stop = perEpoch.length < config.epochs ? `of ${perEpoch.length}, stopped early` : `of ${perEpoch.length}`;
  return [
    tile('AUC', decimals(best.auc), 'chance: 0.500'),
    tile(
      'Accuracy',
      decimals(best.accuracy),
      `always “${isMostlyRight ? 'right' : 'wrong'}”: ${decimals(Math.max(rightShare, 1 - rightShare))}`,
    ),
    tile('F1', decimals(best.f1), `always “right”: ${decimals((2 * rightShare) / (1 + rightShare))}`),
    tile('Precision', decimals(best.precision), `always “right”: ${decimals(rightShare)}`),
    tile('Recall', decimals(best.recall), `at threshold ${THRESHOLD}`),
    tile('Best epoch', String(best.epoch), stop),
  ];
}

/** With pos_weight w the loss is least at w times the true odds, which a reader would else take for a fault. */
function reliabilityCaption({ config, validation }: ReportDetails): string {
  const { calibrationError } = reliability(validation.scores, validation.labels);
  const weight = config.pos_weight;
  const effect = `which ${weight > 1 ? 'lifts' : 'lowers'} scores off the diagonal`;
  const cause =
    weight === 1 ? '' : ` In training a right step weighs ${weight.toPrecision(3)} times a wrong one, ${effect}.`;
  return `Expected calibration error ${decimals(calibrationError)}; larger dots hold more steps.${cause}`;
}

function splitTable({ train, validation }: SplitSummary): Html {
  const row = (side: string, { questions, traces, steps, positives }: SideCounts) => html`
<tr><th scope="row">${side}</th><td>${count(questions)}</td><td>${count(traces)}</td><td>${count(steps)}</td>
<td>${count(positives)} (${percent(positives, steps)})</td></tr>`;
  return html`<table>
<thead><tr><th></th><th scope="col">questions</th><th scope="col">traces</th><th scope="col">steps</th>
<th scope="col">of them right</th></tr></thead>
<tbody>${[row('Training', train), row('Validation', validation)]}</tbody>
</table>`;
}

function splitNote({ tracesWithoutSteps }: ReportDetails): string {
  const leftOut =
    tracesWithoutSteps > 0
      ? ` Left out, for want of a step: ${count(tracesWithoutSteps)} ${tracesWithoutSteps === 1 ? 'trace' : 'traces'}.`
      : '';
  return `A step is right where its trace ends in a right answer.${leftOut}`;
}

function settings({ format: _format, version: _version, name: _name, ...shown }: ScorerConfig): Html[] {
  return Object.entries(shown)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => {
      const text = Array.isArray(value) ? value.join(', ') || 'none' : String(value);
      return html`<div><dt>${key}</dt><dd>${text}</dd></div>`;
    });
}

const EPOCH_COLUMNS: readonly (keyof Metrics)[] = ['auc', 'f1', 'accuracy', 'precision', 'recall'];

function epochTable({ lossCurve, perEpoch, best }: RunCurves): Html {
  const rows = perEpoch.map((metrics, index) => {
    const epoch = index + 1;
    const cells = [lossCurve[index] ?? Number.NaN, ...EPOCH_COLUMNS.map((key) => metrics[key])];
    return html`
<tr${epoch === best.epoch ? html` class="best"` : ''}><th scope="row">${epoch}</th>${cells.map((value) => html`<td>${value.toFixed(4)}</td>`)}</tr>`;
  });
  return html`<table>
<thead><tr><th scope="col">epoch</th><th scope="col">training loss</th><th scope="col">AUC</th><th scope="col">F1</th>
<th scope="col">accuracy</th><th scope="col">precision</th><th scope="col">recall</th></tr></thead>
<tbody>${rows}</tbody>
</table>`;
}

function decimals(value: number): string {
  return value.toFixed(3);
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '–' : `${((100 * part) / whole).toFixed(1)} %`;
}
