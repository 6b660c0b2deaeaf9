import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname } from 'node:path';
import { makeFolder, writeFileAtomic } from '@scorer/core/files';
import {
  axis,
  chartCard,
  type Figure,
  type Html,
  html,
  layoutWith,
  renderPage,
  type Theme,
  tile,
} from '@scorer/core/report';
import type { PreprocessedFile } from './preprocess-file.js';
import type { Distribution, Histogram } from './statistics.js';
import type { RunTotals } from './summary.js';

const require = createRequire(import.meta.url);

/**
 * Writes one page that needs nothing else: what became of the traces, and how long, how finely cut and how often right
 * they are. Its folder is made where it is missing. Equal input gives equal bytes.
 */
export async function writeReport(path: string, totals: RunTotals): Promise<void> {
  const plotlySource = await readFile(require.resolve('plotly.js-basic-dist-min'), 'utf8');
  const folder = dirname(path);
  await makeFolder(folder);
  await writeFileAtomic(path, renderReport(totals, plotlySource));
}

export function renderReport(totals: RunTotals, plotlySource: string): string {
  const { files } = totals;
  const names = files.map(({ output_file }) => basename(output_file));
  return renderPage({
    kind: 'Step records, preprocessing report',
    heading: names.length === 1 ? names[0]! : `${names.length} files`,
    lead: `${count(totals.traces_out)} of ${count(totals.traces_in)} traces · ${count(totals.tokens)} tokens · ${count(totals.steps)} steps`,
    body: html`<section aria-label="All files" class="tiles">${tiles(totals)}</section>
${files.map(fileSection)}`,
    figures: Object.assign({}, ...files.map(fileFigures)),
    plotlySource,
  });
}

function tiles(totals: RunTotals): Html[] {
  const rejected = totals.traces_in - totals.traces_out;
  return [
    tile('Traces', count(totals.traces_out), `of ${count(totals.traces_in)} lines`),
    tile('Rejected', count(rejected), percent(rejected, totals.traces_in)),
    tile('Correct', percent(totals.correct, totals.traces_out), `${count(totals.correct)} traces`),
    tile('Questions', count(totals.questions), `${(totals.traces_out / totals.questions).toFixed(1)} traces each`),
    tile('Tokens', count(totals.tokens), `${count(Math.round(totals.tokens / totals.traces_out))} a trace`),
    tile('Steps', count(totals.steps), `${(totals.steps / totals.traces_out).toFixed(1)} a trace`),
  ];
}

function fileSection(file: PreprocessedFile, index: number): Html {
  const [never, always] = [file.correct_share_histogram[0]!, file.correct_share_histogram.at(-1)!];
  return html`
<h2>${basename(file.output_file)}</h2>
<div class="charts three">
${chartCard(`tokens-${index}`, 'Tokens a trace', describe(file.tokens_per_trace))}
${chartCard(`steps-${index}`, 'Steps a trace', describe(file.steps_per_trace))}
${chartCard(
  `shares-${index}`,
  'Correct share by question',
  `Mean ${percent(file.correct_share_by_question, 1)}. ${count(never)} of ${count(file.questions)} questions are never right and ${count(always)} always: only the others tell right traces of a question from wrong ones.`,
)}
</div>
${rejectTable(file)}`;
}

function rejectTable({ rejects, rejects_file, traces_in }: PreprocessedFile): Html {
  const codes = Object.entries(rejects);
  if (codes.length === 0) return html``;
  const row = ([code, lines]: [string, number]): Html => html`
<tr><th scope="row">${code}</th><td>${count(lines)}</td><td>${percent(lines, traces_in)}</td></tr>`;
  return html`<div class="card" style="margin-top: 16px"><div class="scroll"><table>
<thead><tr><th scope="col">rejected, in ${basename(rejects_file)}</th><th scope="col">lines</th><th scope="col">of all</th></tr></thead>
<tbody>${codes.map(row)}</tbody>
</table></div></div>`;
}

function fileFigures(file: PreprocessedFile, index: number): Record<string, (theme: Theme) => Figure> {
  return {
    [`tokens-${index}`]: (theme) => lengthFigure(file.tokens_histogram, 'tokens', theme),
    [`steps-${index}`]: (theme) => lengthFigure(file.steps_histogram, 'steps', theme),
    [`shares-${index}`]: (theme) => shareFigure(file.correct_share_histogram, theme),
  };
}

/** Traces by length, right and wrong ones stacked. */
function lengthFigure({ width, right, wrong }: Histogram, unit: string, theme: Theme): Figure {
  const bars = (name: string, counts: readonly number[], color: string) => ({
    type: 'bar',
    name,
    // A bin of one value stands over that value.
    x: counts.map((_, bin) => (width === 1 ? bin : (bin + 0.5) * width)),
    y: counts,
    width,
    text: counts.map((_, bin) => (width === 1 ? `${bin}` : `${count(bin * width)} to ${count((bin + 1) * width - 1)}`)),
    textposition: 'none',
    marker: { color },
    hovertemplate: `%{text} ${unit}: %{y} ${name}<extra></extra>`,
  });
  return {
    data: [bars('right', right, theme.right), bars('wrong', wrong, theme.wrong)],
    layout: layoutWith(theme, {
      barmode: 'stack',
      xaxis: axis(theme, { title: { text: unit, standoff: 12 }, showgrid: false, rangemode: 'tozero' }),
      yaxis: axis(theme, { title: { text: 'traces', standoff: 12 } }),
      showlegend: true,
    }),
  };
}

function shareFigure(counts: readonly number[], theme: Theme): Figure {
  const tenths = Array.from({ length: counts.length - 2 }, (_, i) => `${i * 10}–${(i + 1) * 10} %`);
  return {
    data: [
      {
        type: 'bar',
        x: ['none', ...tenths, 'all'],
        y: counts,
        marker: { color: theme.series[0] },
        hovertemplate: '%{x} right: %{y} questions<extra></extra>',
      },
    ],
    layout: layoutWith(theme, {
      xaxis: axis(theme, { title: { text: 'correct traces of the question', standoff: 12 }, showgrid: false }),
      yaxis: axis(theme, { title: { text: 'questions', standoff: 12 } }),
    }),
  };
}

function describe({ min, median, p95, max }: Distribution): string {
  return `Least ${count(min)}, median ${count(median)}, 95 % at most ${count(p95)}, most ${count(max)}.`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '–' : `${((100 * part) / whole).toFixed(1)} %`;
}
