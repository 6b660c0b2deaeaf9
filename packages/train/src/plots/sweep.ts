import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '@scorer/core/files';
import { chartCard, type Html, html, renderPage, type Theme } from '@scorer/core/report';
import type { SweepResult } from '../sweep.js';
import { axis, type Figure, layoutWith, seriesColor } from './chart-style.js';
import { readPlotlySource } from './png.js';

type Sweep = Omit<SweepResult, 'report'>;

/**
 * Writes sweep.html in `folder`, which is made if need be: AUC by layer as a chart and as a table. Equal input gives
 * equal bytes.
 * @returns its path
 */
export async function writeSweepPlots(folder: string, sweep: Sweep): Promise<string> {
  await makeFolder(folder);
  const path = join(folder, 'sweep.html');
  await writeFileAtomic(path, renderSweep(sweep, await readPlotlySource()));
  return path;
}

function renderSweep(sweep: Sweep, plotlySource: string): string {
  const { config, split } = sweep.layers[0]!.run;
  const validation = `${split.validation.traces} traces of ${split.validation.questions} questions`;
  const body = html`
<h2>AUC by layer</h2>
<div class="charts">
${chartCard('layers', 'Validation', 'Over all steps together, and the mean within questions that have right and wrong steps.')}
</div>
<h2>Layers in figures</h2>
<div class="card"><div class="scroll">${layerTable(sweep)}</div>
<p class="note">Each layer has a scorer of its own, trained with the same settings on the same steps and validated on the
same ${validation}. Choosing the best of many layers on them makes its figures look better than they will be.</p></div>`;
  return renderPage({
    kind: 'Step scorers, layer by layer',
    heading: sweep.name,
    lead: `${config.model} · ${sweep.layers.length} layers · ${split.kind === 'folder' ? 'validation from a folder of its own' : `split by ${split.kind}`}`,
    body,
    figures: { layers: (theme) => aucByLayer(sweep, theme) },
    plotlySource,
  });
}

/** Pooled AUC and AUC within questions, of steps, against the layer's number. */
function aucByLayer({ layers }: Sweep, theme: Theme): Figure {
  const line = (name: string, index: number, symbol: 'circle' | 'square', values: (number | null)[]) => ({
    type: 'scatter' as const,
    mode: 'lines+markers' as const,
    name,
    x: layers.map(({ layer }) => layer),
    y: values,
    line: { color: seriesColor(theme, index), width: 2.5 },
    marker: { symbol, size: 8 },
    hovertemplate: '%{y:.4f}',
  });
  const pooled = layers.map(({ run }) => run.best.auc);
  const within = layers.map(({ run }) => run.judgement?.auc_within_question ?? null);
  return {
    data: [line('all steps', 0, 'circle', pooled), line('within questions', 1, 'square', within)],
    layout: layoutWith(theme, {
      xaxis: axis(theme, { title: { text: 'layer', standoff: 12 }, showgrid: false, showline: true, tickformat: 'd' }),
      yaxis: axis(theme, { title: { text: 'validation AUC', standoff: 12 }, tickformat: '.2f' }),
      hovermode: 'x unified',
      showlegend: true,
    }),
  };
}

function layerTable({ layers }: Sweep): Html {
  const best = Math.max(...layers.map(({ run }) => run.best.auc));
  const rows = layers.map(({ layer, run: { best: figures, judgement } }) => {
    const cells = [figures.auc, judgement?.auc_within_question, judgement?.trace_auc.pooled, figures.f1];
    return html`
<tr${figures.auc === best ? html` class="best"` : ''}><th scope="row">${layer}</th>${cells.map((value) => html`<td>${value?.toFixed(4) ?? '–'}</td>`)}<td>${figures.epoch}</td></tr>`;
  });
  return html`<table>
<thead><tr><th scope="col">layer</th><th scope="col">AUC</th><th scope="col">AUC within questions</th>
<th scope="col">AUC of traces</th><th scope="col">F1</th><th scope="col">best epoch</th></tr></thead>
<tbody>${rows}</tbody>
</table>`;
}
