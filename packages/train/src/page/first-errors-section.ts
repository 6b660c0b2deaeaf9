import { type Html, html } from '@scorer/core/report';
import type { Figure } from '../evaluate/bootstrap.js';
import type { FirstErrorFigures, ProcessBenchFigures } from '../evaluate/process-bench.js';
import { count, interval, percent } from '../figure-text.js';
import { small } from './small.js';

/** How well the scorer finds the first wrong step of a trace, in all and of each source. */
export function firstErrorsSection({ sources = {}, mean_f1, ...all }: ProcessBenchFigures): Html {
  const several = Object.entries(sources);
  const choice =
    all.chosen_on === null
      ? ''
      : ` That threshold is the one of the best F1 on ${count(all.chosen_on)} questions; the figures are of ${count(all.reported_on)} others.`;
  return html`
<h2 id="first-errors">First wrong steps</h2>
<div class="card two-lines" role="region" aria-labelledby="first-errors"><div class="scroll"><table>
<thead><tr><th scope="col">traces</th><th scope="col">first error found</th><th scope="col">no error found</th><th scope="col">F1</th></tr></thead>
<tbody>${several.map(([name, figures]) => row(name, figures))}${row('All', all)}${mean_f1 ? meanRow(mean_f1) : ''}</tbody>
</table></div>
<p class="note">The scorer's first error is the first labelled step with a score below ${all.threshold.toPrecision(3)}.${choice} First error found: of the traces with a wrong step, how often it is the first of them. No error found: of the others, how often there is none. F1 is the harmonic mean of the two, as in ProcessBench (arXiv 2412.06559).</p></div>`;
}

function row(title: string, { traces, wrong, error_accuracy, correct_accuracy, f1 }: FirstErrorFigures): Html {
  const counts = small(`${count(traces)} traces, ${count(wrong)} wrong`);
  return html`
<tr><th scope="row">${title} ${counts}</th>${[error_accuracy, correct_accuracy, f1].map(cell)}</tr>`;
}

function meanRow(f1: Figure): Html {
  return html`
<tr><th scope="row">Mean of the sources</th><td>–</td><td>–</td>${cell(f1)}</tr>`;
}

const cell = (figure: Figure): Html => html`<td>${percent(figure.value)} ${small(interval(figure))}</td>`;
