import { chartCard, type Html, html } from '@scorer/core/report';
import type { Figure } from '../evaluate/bootstrap.js';
import { type ConfidenceFigures, inTitles, type MeasureFigures } from '../evaluate/confidence.js';
import { largestSize } from '../evaluate/describe.js';
import type { Evaluation } from '../evaluate/evaluate.js';
import { decimalInterval, decimals, interval, percent, signedDecimals } from '../figure-text.js';
import { small } from './small.js';

/** The scorer beside how sure the model was of its own tokens, and both together. */
export function confidenceSection({ auc }: Evaluation, { scorer, measures }: ConfidenceFigures): Html {
  const size = largestSize(scorer.n);
  const studied = inTitles(measures);
  const together = studied.map(({ title, figures }) => votesRow(`Scorer + ${title}`, figures.with_scorer.n[size]!));
  return html`
<h2>Token confidence</h2>
<div class="charts">
${chartCard('confidence', 'AUC in questions by part of the trace', 'How well the scorer, and each confidence of the model in its own tokens, tell right traces from wrong ones of the same question as the traces go on.')}
<div class="card two-lines"><h3>Ranks in questions</h3><div class="scroll"><table>
<thead><tr><th scope="col">score</th><th scope="col">AUC</th><th scope="col">scorer beside it</th><th scope="col">both beside it</th><th scope="col">both beside scorer</th></tr></thead>
<tbody>
<tr><th scope="row">Scorer</th>${aucCell(auc.within_question)}<td>–</td><td>–</td><td>–</td></tr>${studied.map(rankRow)}</tbody>
</table></div></div>
<div class="card two-lines"><h3>Votes</h3><div class="scroll"><table>
<thead><tr><th scope="col">by</th><th scope="col">weighted</th><th scope="col">best of N</th><th scope="col">top 10 %, weighted</th><th scope="col">top 90 %, weighted</th></tr></thead>
<tbody>${votesRow('Scorer', scorer.n[size]!)}${studied.map(({ title, figures }) => votesRow(capital(title), figures.n[size]!))}${together}</tbody>
</table></div>
<p class="note">Questions right where ${size === 'all' ? 'all traces' : `${size} traces`} of each vote. Confidences and filtered votes are DeepConf's (arXiv 2508.15260); both: the mean of the ranks of the two.</p></div>
</div>`;
}

function rankRow({ title, figures }: { title: string; figures: MeasureFigures }): Html {
  const { auc, scorer_minus, with_scorer } = figures;
  const differences = [scorer_minus.auc, with_scorer.minus_confidence.auc, with_scorer.minus_scorer.auc];
  return html`
<tr><th scope="row">${capital(title)}</th>${aucCell(auc.within_question)}${differences.map(({ within_question }) => differenceCell(within_question))}</tr>`;
}

const capital = (title: string): string => title.charAt(0).toUpperCase() + title.slice(1);

const aucCell = (figure: Figure): Html => html`<td>${decimals(figure)} ${small(decimalInterval(figure))}</td>`;

const differenceCell = (figure: Figure): Html =>
  html`<td>${signedDecimals(figure)} ${small(decimalInterval(figure))}</td>`;

type Votes = MeasureFigures['n'][string];

function votesRow(title: string, { weighted, best_of_n, top10_filtered, top90_filtered }: Votes): Html {
  const cells = [weighted, best_of_n, top10_filtered, top90_filtered].map(
    (figure) => html`<td>${percent(figure.value)} ${small(interval(figure))}</td>`,
  );
  return html`
<tr><th scope="row">${title}</th>${cells}</tr>`;
}
