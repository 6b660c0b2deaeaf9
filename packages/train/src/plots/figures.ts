import type { Theme } from '@scorer/core/report';
import type { AxisName, Layout, LayoutAxis, Legend, PlotData } from 'plotly.js';
import type { Metrics } from '../metrics.js';
import type { ReportDetails, RunCurves } from '../result.js';
import {
  axis,
  dashedLine,
  epochAxis,
  type Figure,
  layoutWith,
  plainText,
  seriesColor,
  unitAxis,
} from './chart-style.js';
import { reliability, rocCurve, scoreHistogram } from './curves.js';
import { reliabilityDiagram } from './reliability-diagram.js';

/** Shapes tell lines apart where colours don't. */
const SYMBOLS = ['circle', 'square', 'diamond', 'triangle-up', 'cross'] as const;

/** With more epochs a marker a point would hide the line. */
const MAX_MARKED_EPOCHS = 40;

/** Below the charts, where it can grow with its entries. */
const LEGEND_BELOW: Partial<Legend> = {
  orientation: 'h',
  x: 0,
  xanchor: 'left',
  yref: 'container',
  y: 0.02,
  yanchor: 'bottom',
};

type ScoredSteps = ReportDetails['validation'];

/** Training loss by epoch, one line a configuration; a ring marks its best epoch, named beside it or in the legend. */
export function lossCurves(runs: readonly RunCurves[], theme: Theme): Figure {
  const lines = runs.map(({ name, lossCurve, best }, index): Partial<PlotData> => {
    const epochs = epochsOf(lossCurve);
    return {
      type: 'scatter',
      mode: epochs.length <= MAX_MARKED_EPOCHS ? 'lines+markers' : 'lines',
      name: `${plainText(name)}, best epoch ${best.epoch}`,
      x: epochs,
      y: [...lossCurve],
      line: { color: seriesColor(theme, index), width: 2.5 },
      marker: { symbol: SYMBOLS[index % SYMBOLS.length]!, size: 7 },
      hovertemplate: 'epoch %{x}<br>loss %{y:.4f}<extra></extra>',
    };
  });
  const bestEpochs = runs.map(({ lossCurve, best: { epoch } }, index) => ({
    epoch,
    loss: lossCurve[epoch - 1] ?? Number.NaN,
    color: seriesColor(theme, index),
  }));
  const rings = bestEpochs.map(
    ({ epoch, loss, color }): Partial<PlotData> => ({
      type: 'scatter',
      mode: 'markers',
      x: [epoch],
      y: [loss],
      marker: { color: theme.background, size: 13, line: { color, width: 3 } },
      cliponaxis: false,
      showlegend: false,
      hoverinfo: 'skip',
    }),
  );
  const epochCount = Math.max(...runs.map(({ lossCurve }) => lossCurve.length));
  const labels = bestEpochs
    .filter(({ loss }) => Number.isFinite(loss))
    .map(({ epoch, loss, color }) => ({
      text: `best epoch ${epoch}`,
      font: { color, weight: 600 },
      x: epoch,
      y: loss,
      // Losses fall, so the places above to the right and below to the left of a point are free of the curve.
      ...(epoch > epochCount / 2
        ? ({ xanchor: 'right', yanchor: 'top', yshift: -8 } as const)
        : ({ xanchor: 'left', yanchor: 'bottom', yshift: 8 } as const)),
      showarrow: false,
      bgcolor: `${theme.background}cc`,
    }));
  return {
    data: [...lines, ...rings],
    layout: layoutWith(theme, {
      xaxis: epochAxis(theme, epochCount),
      yaxis: lossAxis(theme, runs),
      // Labels of several curves would cover each other.
      ...(runs.length === 1 ? { annotations: labels } : { showlegend: true, legend: LEGEND_BELOW }),
    }),
  };
}

const HEADLINE_METRICS = [
  { key: 'auc', title: 'AUC' },
  { key: 'accuracy', title: 'Accuracy' },
  { key: 'f1', title: 'F1' },
] as const;

/** Room between neighbouring bar charts, as a share of the width. */
const PANEL_GAP = 0.06;

/** AUC, accuracy and F1 at the best epoch: three bar charts side by side, one bar a configuration. */
export function validationMetrics(runs: readonly RunCurves[], theme: Theme): Figure {
  const panelWidth = (1 - PANEL_GAP * (HEADLINE_METRICS.length - 1)) / HEADLINE_METRICS.length;
  const data: Partial<PlotData>[] = [];
  const axes: Record<string, Partial<LayoutAxis>> = {};
  const annotations: Layout['annotations'] = [];

  for (const [panel, { key, title }] of HEADLINE_METRICS.entries()) {
    const suffix = panel === 0 ? '' : String(panel + 1);
    const [x, y] = [`x${suffix}` as AxisName, `y${suffix}` as AxisName];
    const start = panel * (panelWidth + PANEL_GAP);
    for (const [index, { name, best }] of runs.entries()) {
      data.push({
        type: 'bar',
        name: plainText(name),
        x: [index],
        y: [best[key]],
        xaxis: x,
        yaxis: y,
        width: 0.5,
        text: [best[key].toFixed(3)],
        textposition: 'outside',
        textfont: { size: 17, weight: 600, color: theme.ink },
        marker: { color: seriesColor(theme, index) },
        cliponaxis: false,
        hoverinfo: 'skip',
        legendgroup: String(index),
        showlegend: panel === 0,
      });
    }
    axes[`xaxis${suffix}`] = axis(theme, {
      domain: [start, start + panelWidth],
      anchor: y,
      range: [-0.75, runs.length - 0.25],
      showgrid: false,
      showline: true,
      ticks: '',
      showticklabels: false,
    });
    axes[`yaxis${suffix}`] = axis(theme, { anchor: x, range: [0, 1.05], dtick: 0.2, tickformat: '.1f' });
    annotations.push({
      text: title,
      x: start + panelWidth / 2,
      y: 1.04,
      xref: 'paper',
      yref: 'paper',
      xanchor: 'center',
      yanchor: 'bottom',
      showarrow: false,
      font: { size: 17, weight: 600, color: theme.ink },
    });
  }
  return {
    data,
    layout: layoutWith(theme, { ...axes, annotations, legend: LEGEND_BELOW, showlegend: runs.length > 1 }),
  };
}

/** The two that choose the best epoch come first and are drawn strong. */
const EPOCH_METRICS: readonly { key: keyof Metrics; title: string; width: number }[] = [
  { key: 'auc', title: 'AUC', width: 2.5 },
  { key: 'f1', title: 'F1', width: 2.5 },
  { key: 'accuracy', title: 'accuracy', width: 1.25 },
  { key: 'precision', title: 'precision', width: 1.25 },
  { key: 'recall', title: 'recall', width: 1.25 },
];

/** The five validation metrics by epoch, with a line at the best epoch. */
export function metricsByEpoch(run: RunCurves, theme: Theme): Figure {
  const epochs = epochsOf(run.perEpoch);
  return {
    data: EPOCH_METRICS.map(({ key, title, width }, index) => ({
      type: 'scatter',
      mode: epochs.length <= MAX_MARKED_EPOCHS ? 'lines+markers' : 'lines',
      name: title,
      x: epochs,
      y: run.perEpoch.map((metrics) => metrics[key]),
      line: { color: seriesColor(theme, index), width },
      marker: { symbol: SYMBOLS[index % SYMBOLS.length]!, size: 6 },
      hovertemplate: '%{y:.3f}',
    })),
    layout: layoutWith(theme, {
      xaxis: epochAxis(theme, epochs.length),
      yaxis: axis(theme, { range: [0, 1.02], dtick: 0.2, tickformat: '.1f' }),
      hovermode: 'x unified',
      showlegend: true,
      shapes: [
        {
          type: 'line',
          x0: run.best.epoch,
          x1: run.best.epoch,
          y0: 0,
          y1: 1,
          yref: 'paper',
          line: { color: theme.muted, width: 1.5, dash: 'dot' },
          layer: 'below',
        },
      ],
    }),
  };
}

/** ROC curve of the validation steps at the best epoch, with the diagonal of chance. */
export function rocFigure(validation: ScoredSteps, theme: Theme): Figure {
  const { falsePositiveRate, truePositiveRate } = rocCurve(validation.scores, validation.labels);
  return {
    data: [
      dashedLine('chance', { x: [0, 1], y: [0, 1] }, theme),
      {
        type: 'scatter',
        mode: 'lines',
        name: 'scorer',
        x: falsePositiveRate,
        y: truePositiveRate,
        line: { color: seriesColor(theme, 0), width: 2.5 },
        fill: 'tozeroy',
        fillcolor: `${seriesColor(theme, 0)}1a`,
        hovertemplate: 'false positives %{x:.3f}<br>true positives %{y:.3f}<extra></extra>',
      },
    ],
    layout: layoutWith(theme, {
      xaxis: unitAxis(theme, 'false positive rate'),
      yaxis: unitAxis(theme, 'true positive rate'),
    }),
  };
}

/** Scores of the steps of right and of wrong traces, each class as a share of its own steps. */
export function scoreDistribution(validation: ScoredSteps, theme: Theme): Figure {
  const { edges, right, wrong } = scoreHistogram(validation.scores, validation.labels);
  const steps = (name: string, shares: number[], color: string): Partial<PlotData> => ({
    type: 'scatter',
    mode: 'lines',
    name,
    x: edges,
    // A stair needs its last height twice: at the last bin's left and right edge.
    y: [...shares, shares.at(-1) ?? 0],
    line: { shape: 'hv', color, width: 1.75 },
    fill: 'tozeroy',
    fillcolor: `${color}33`,
    hovertemplate: '%{y:.1%}',
  });
  return {
    data: [steps('wrong traces', wrong, theme.wrong), steps('right traces', right, theme.right)],
    layout: layoutWith(theme, {
      xaxis: unitAxis(theme, 'score'),
      yaxis: axis(theme, {
        title: { text: 'share of the steps', standoff: 12 },
        tickformat: '.0%',
        rangemode: 'tozero',
      }),
      hovermode: 'x unified',
      showlegend: true,
    }),
  };
}

/** Share of right traces' steps against score, in ten bins. */
export function stepReliability(validation: ScoredSteps, theme: Theme): Figure {
  const { bins } = reliability(validation.scores, validation.labels);
  return reliabilityDiagram(bins, { unit: 'steps', scoreTitle: 'score', shareTitle: 'share in right traces' }, theme);
}

/** With room below the lowest loss for its label, and as many decimals as tell neighbouring ticks apart. */
function lossAxis(theme: Theme, runs: readonly RunCurves[]): Partial<LayoutAxis> {
  const base = axis(theme, { title: { text: 'training loss', standoff: 12 } });
  const losses = runs.flatMap(({ lossCurve }) => lossCurve.filter(Number.isFinite));
  const low = Math.min(...losses);
  const span = Math.max(...losses) - low;
  if (!(span > 0)) return base;
  const decimals = Math.min(Math.max(Math.ceil(-Math.log10(span / 6)), 0), 6);
  return { ...base, range: [low - 0.16 * span, low + 1.07 * span], tickformat: `.${decimals}f` };
}

function epochsOf(values: readonly unknown[]): number[] {
  return values.map((_, index) => index + 1);
}
