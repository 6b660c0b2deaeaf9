import { chartCard, type Html, html, renderPage, tile } from '@scorer/core/report';
import type { Figure } from '../evaluate/bootstrap.js';
import { largestSize } from '../evaluate/describe.js';
import type { Evaluation, RankFigures, VoteFigures } from '../evaluate/evaluate.js';
import {
  count,
  decimalInterval,
  decimals,
  interval,
  negative,
  percent,
  points,
  signed,
  signedDecimals,
} from '../figure-text.js';
import { describePolicy } from '../simulate/policy.js';
import type { PolicyFigures } from '../simulate/policy-figures.js';
import type { Simulation } from '../simulate/simulate.js';
import { confidenceSection } from './confidence-section.js';
import { accuracyByN, accuracyByTokens, aucByFraction, aucByMeasure, traceReliability } from './figures.js';
import { firstErrorsSection } from './first-errors-section.js';
import type { GatheredTraces } from './gather-traces.js';
import { SCORES_STYLE } from './scores-style.js';
import { small } from './small.js';
import { traceViewer } from './trace-viewer.js';
import { VIEWER_STYLE } from './viewer-style.js';

export interface ScoresPage {
  readonly heading: string;
  /** What made the scores, in a few words. */
  readonly origin?: string | undefined;
  readonly evaluation: Evaluation;
  /** Undefined where there are too few questions to choose a policy on some and report on others. */
  readonly simulation: Simulation | undefined;
  readonly traces: GatheredTraces;
  /** The library that draws the charts and the viewer's program, both inlined. */
  readonly plotlySource: string;
  readonly viewerScript: string;
}

/** One page that needs nothing else: what the scores are worth, and the traces themselves. */
export function renderScoresPage({ evaluation, simulation, traces, ...page }: ScoresPage): string {
  const { questions, right } = evaluation;
  const share = percent(right / evaluation.traces);
  const counts = `${count(evaluation.traces)} traces of ${count(questions)} questions, ${share} right`;
  return renderPage({
    kind: 'Step scorer, evaluation report',
    heading: page.heading,
    lead: page.origin === undefined ? counts : `${page.origin} · ${counts}`,
    body: html`
${heldOutWarning(traces)}
<section aria-label="In short" class="tiles">${headline(evaluation, simulation)}</section>

<h2>Votes</h2>
<div class="charts two">
${chartCard('votes', 'Accuracy by number of traces', 'Where a question has more traces, the mean over random subsets of them.')}
<div class="card two-lines">${voteTable(evaluation)}
<p class="note">All traces of each question vote. Intervals hold the figure with 95 % confidence, by bootstrap over questions; an interval of a difference that holds 0 shows none.</p></div>
</div>
<details class="card">
<summary>Every number of traces in figures</summary>
<div class="scroll">${sizeTable(evaluation)}</div>
</details>

${simulation ? stoppingSection(simulation) : TOO_FEW_QUESTIONS}

<h2>Scores</h2>
<div class="charts two">
${chartCard('fractions', 'AUC by part of the trace', 'How well the mean of the steps so far tells right traces from wrong ones. Within questions is what votes and early stopping rest on; over all traces it also knows easy questions from hard ones.')}
${chartCard('reliability', 'Reliability', `Expected calibration error ${decimals(evaluation.calibration.ece)}; larger dots hold more traces.`)}
</div>
<div class="charts two" style="margin-top: 16px">
<div class="card two-lines"><h3>Ranks</h3>${rankTable(evaluation)}</div>
${aggregationCard(evaluation)}
</div>
${evaluation.confidence ? confidenceSection(evaluation, evaluation.confidence) : ''}
${evaluation.process_bench ? firstErrorsSection(evaluation.process_bench) : ''}

${traceViewer(describeTraces(evaluation, traces))}`,
    figures: {
      votes: (theme) => accuracyByN(evaluation, theme),
      ...(simulation && { tokens: (theme) => accuracyByTokens(simulation, theme) }),
      fractions: (theme) => aucByFraction(evaluation, theme),
      reliability: (theme) => traceReliability(evaluation, theme),
      ...(evaluation.confidence && { confidence: (theme) => aucByMeasure(evaluation, theme) }),
    },
    plotlySource: page.plotlySource,
    program: { style: SCORES_STYLE + VIEWER_STYLE, script: page.viewerScript, data: traces.blocks.markup() },
  });
}

/** Of other data than the scorer's own no trace was held out, and none was trained on. */
function heldOutWarning({ heldOut }: GatheredTraces): Html {
  if (!heldOut || heldOut.yes === 0 || heldOut.no === 0) return html``;
  return html`<div class="card warning" role="note">
<h3>Not all of these traces were held out</h3>
<p>The scorer was validated on ${count(heldOut.yes)} of the traces and not on ${count(heldOut.no)} others. What it was trained on
looks better here than new questions will; score with --only validation for figures that hold.</p>
</div>`;
}

function headline({ n, auc }: Evaluation, simulation: Simulation | undefined): Html[] {
  const { single, majority, weighted, best_of_n, ...differences } = largestOf(n);
  const beside = (difference: Figure): string => `${points(difference)} beside the majority`;
  return [
    tile('Majority vote', percent(majority.value), interval(majority)),
    tile('Weighted by score', percent(weighted.value), beside(differences.weighted_minus_majority)),
    tile('Best of N', percent(best_of_n.value), beside(differences.best_of_n_minus_majority)),
    tile('One sample', percent(single.value), interval(single)),
    ...(simulation ? [savingTile(simulation)] : []),
    tile('AUC in questions', decimals(auc.within_question), `over all traces ${decimals(auc.pooled)}`),
  ];
}

function savingTile({ best, vote }: Simulation): Html {
  const note = `${vote} vote ${points(negative(best.loss))}`;
  return tile('Tokens saved', percent(best.tokensSaved.value), note);
}

const RULES = [
  ['weighted', 'Weighted by score'],
  ['majority', 'Majority'],
  ['best_of_n', 'Best of N'],
  ['filtered', 'Majority of the best half'],
  ['single', 'One sample'],
  ['oracle', 'Any is right'],
] as const;

function voteTable({ n, baselines, settings }: Evaluation): Html {
  const all = largestOf(n);
  const byLength = largestOf(baselines.length.n);
  const rows = RULES.map(([rule, title]) => {
    const label = rule === 'filtered' ? `Majority of the best ${percent(settings.top, 0)}` : title;
    return voteRow(label, all[rule], rule === 'majority' ? undefined : all[`${rule}_minus_majority`]);
  });
  return html`<div class="scroll"><table>
<thead><tr><th scope="col">vote</th><th scope="col">questions right</th><th scope="col">beside the majority</th></tr></thead>
<tbody>${rows}
${voteRow('Weighted by 1 / length', byLength.weighted, byLength.weighted_minus_majority)}
${voteRow('Shortest trace', byLength.best_of_n, byLength.best_of_n_minus_majority)}</tbody>
</table></div>`;
}

function voteRow(title: string, accuracy: Figure, difference: Figure | undefined): Html {
  return html`
<tr><th scope="row">${title}</th><td>${percent(accuracy.value)} ${small(interval(accuracy))}</td>
<td>${difference ? html`${signed(difference.value)} ${small(interval(difference))}` : '–'}</td></tr>`;
}

function sizeTable({ n }: Evaluation): Html {
  const rows = Object.entries(n).map(
    ([size, figures]) => html`
<tr><th scope="row">${size}</th>${RULES.map(([rule]) => html`<td>${percent(figures[rule].value)}<br>${small(interval(figures[rule]))}</td>`)}</tr>`,
  );
  return html`<table>
<thead><tr><th scope="col">traces</th>${RULES.map(([, title]) => html`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>${rows}</tbody>
</table>`;
}

const TOO_FEW_QUESTIONS = html`
<h2>Early stopping</h2>
<p class="note">A policy is chosen on some questions and reported on others; here are too few of them.</p>`;

function stoppingSection(simulation: Simulation): Html {
  const { questions, maxLoss, vote, rates, unknownPrompts } = simulation;
  const rows: [string, PolicyFigures][] = [
    ['None', simulation.nothingStopped],
    ...Object.entries(simulation.byKind).map(([kind, figures]): [string, PolicyFigures] => [
      POLICY_TITLES[kind] ?? kind,
      figures,
    ]),
  ];
  const unknown =
    unknownPrompts > 0
      ? ` ${count(unknownPrompts)} traces do not tell their prompt tokens, which count as generated: the saving is understated.`
      : '';
  return html`<h2>Early stopping</h2>
<div class="charts">
${chartCard('tokens', 'Accuracy against tokens', `Each dot is a setting, on the ${count(questions.reporting)} questions that it was not chosen on. The solid line joins the settings that were on the Pareto front of the other ${count(questions.choosing)}; the ring is the chosen one; the dashed line is what sampling fewer traces does, without a scorer.`)}
<div class="card two-lines"><div class="scroll"><table>
<thead><tr><th scope="col">policy</th><th scope="col">tokens saved</th><th scope="col">${vote} vote</th><th scope="col">change</th><th scope="col" class="wide">time saved</th></tr></thead>
<tbody>${rows.map(([title, figures]) => policyRow(title, figures, vote, figures.policy === simulation.best.policy))}</tbody>
</table></div>
<p class="note">Of each kind the setting that spends the fewest tokens while the ${vote} vote loses no more than ${percent(maxLoss)}, by a standard error, on the questions that it is chosen on; figures are of the others. A stopped trace has no vote, and its tokens up to there are spent. Only generated tokens count.${unknown}
Time is an estimate: all traces of a question start together and run at ${count(rates.stream)} tokens a second each, ${count(rates.batch)} together at most.</p></div>
</div>`;
}

const POLICY_TITLES: Readonly<Record<string, string>> = {
  threshold: 'Threshold',
  patience: 'Patience',
  'keep-top': 'Keep the best',
  memory: 'Memory, as in STEP',
  budget: 'Token budget',
  confidence: 'Confidence, as in DeepConf',
  fewer: 'Sample fewer',
};

function policyRow(title: string, figures: PolicyFigures, vote: Simulation['vote'], isBest: boolean): Html {
  const { policy, loss, tokensSaved, secondsSaved } = figures;
  const accuracy = figures[vote];
  const change = negative(loss);
  const head = html`<th scope="row">${title}${small(describePolicy(policy))}</th>`;
  if (policy.kind === 'none') {
    return html`
<tr>${head}<td>–</td><td>${percent(accuracy.value)}</td><td>–</td><td class="wide">–</td></tr>`;
  }
  return html`
<tr${isBest ? html` class="best"` : ''}>${head}<td>${percent(tokensSaved.value)} ${small(interval(tokensSaved))}</td>
<td>${percent(accuracy.value)}</td><td>${signed(change.value)} ${small(interval(change))}</td>
<td class="wide">${percent(secondsSaved.value)}</td></tr>`;
}

function rankTable({ auc, baselines }: Evaluation): Html {
  const row = (title: string, { within_question, pooled, rank_accuracy }: RankFigures): Html => html`
<tr><th scope="row">${title}</th><td>${decimals(within_question)} ${small(decimalInterval(within_question))}</td>
<td>${decimals(pooled)}</td><td>${decimals(rank_accuracy)}</td></tr>`;
  const differenceRow = (title: string, { within_question, pooled, rank_accuracy }: RankFigures): Html => html`
<tr><th scope="row">${title}</th><td>${signedDecimals(within_question)} ${small(decimalInterval(within_question))}</td>
<td>${signedDecimals(pooled)}</td><td>${signedDecimals(rank_accuracy)}</td></tr>`;
  return html`<div class="scroll"><table>
<thead><tr><th scope="col">score</th><th scope="col">AUC in questions</th><th scope="col">over all</th><th scope="col">pairs in order</th></tr></thead>
<tbody>${row('Scorer', auc)}${row('1 / length', baselines.length.auc)}${row('Answer frequency', baselines.answer_frequency.auc)}
${differenceRow('Scorer − 1 / length', baselines.length.scorer_minus.auc)}</tbody>
</table></div>`;
}

function aggregationCard({ aggregation }: Evaluation): Html {
  if (!aggregation) return html``;
  const rows = Object.entries(aggregation.aggregations).map(
    ([name, { within_question, minus_mean }]) => html`
<tr${name === aggregation.best ? html` class="best"` : ''}><th scope="row">${name}</th><td>${decimals(within_question)} ${small(decimalInterval(within_question))}</td>
<td>${signedDecimals(minus_mean)} ${small(decimalInterval(minus_mean))}</td></tr>`,
  );
  return html`<div class="card two-lines"><h3>How step scores become one</h3><div class="scroll"><table>
<thead><tr><th scope="col">aggregate</th><th scope="col">AUC in questions</th><th scope="col">beside the mean</th></tr></thead>
<tbody>${rows}</tbody>
</table></div>
<p class="note">Settings and the best (marked) were chosen on ${count(aggregation.chosen_on)} questions, the figures are of ${count(aggregation.reported_on)} others.</p></div>`;
}

function describeTraces(evaluation: Evaluation, { traceCount, questionCount, withoutText }: GatheredTraces): string {
  const shown =
    traceCount < evaluation.traces
      ? `Shown are ${count(traceCount)} of ${count(evaluation.traces)} traces: those of ${count(questionCount)} questions drawn at random. The figures above are of all.`
      : 'All traces are shown.';
  return withoutText === 0 ? shown : `${shown} ${count(withoutText)} of them without their text.`;
}

/** The figures with the most traces that vote. */
export function largestOf(n: Readonly<Record<string, VoteFigures>>): VoteFigures {
  return n[largestSize(n)]!;
}
