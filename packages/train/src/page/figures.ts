import type { Theme } from '@scorer/core/report';
import type { LayoutAxis, PlotData } from 'plotly.js';
import type { Figure as Estimate } from '../evaluate/bootstrap.js';
import { inTitles } from '../evaluate/confidence.js';
import type { Evaluation } from '../evaluate/evaluate.js';
import { axis, dashedLine, type Figure, layoutWith, seriesColor } from '../plots/chart-style.js';
import { reliabilityDiagram } from '../plots/reliability-diagram.js';
import { describePolicy, STOPPING_KINDS } from '../simulate/policy.js';
import type { Setting, Simulation } from '../simulate/simulate.js';

/** Rules of the votes in the order in which they are drawn, with their place among the colours and their shape. */
const DRAWN_RULES = [
  { rule: 'weighted', title: 'weighted by score', color: 0, symbol: 'circle', width: 2.75 },
  { rule: 'majority', title: 'majority', color: 1, symbol: 'square', width: 2.75 },
  { rule: 'best_of_n', title: 'best of N', color: 2, symbol: 'diamond', width: 1.5 },
  { rule: 'filtered', title: 'best half votes', color: 3, symbol: 'triangle-up', width: 1.5 },
  { rule: 'single', title: 'one sample', color: 7, symbol: 'cross', width: 1.5 },
  { rule: 'oracle', title: 'any is right', color: 4, symbol: 'triangle-down', width: 1.5 },
] as const;

/** Accuracy of each rule by the number of traces that vote. */
export function accuracyByN({ n }: Evaluation, theme: Theme): Figure {
  const sizes = Object.keys(n);
  return {
    data: DRAWN_RULES.map(({ rule, title, color, symbol, width }) => ({
      type: 'scatter',
      mode: 'lines+markers',
      name: title,
      x: sizes,
      y: sizes.map((size) => n[size]![rule].value),
      text: sizes.map((size) => interval(n[size]![rule])),
      line: { color: seriesColor(theme, color), width },
      marker: { symbol, size: 7 },
      hovertemplate: '%{y:.1%} %{text}',
    })),
    layout: layoutWith(theme, {
      xaxis: axis(theme, { title: { text: 'traces that vote', standoff: 12 }, type: 'category', showgrid: false }),
      yaxis: axis(theme, { title: { text: 'questions right', standoff: 12 }, tickformat: '.0%' }),
      hovermode: 'x unified',
      showlegend: true,
    }),
  };
}

const KIND_TITLES = {
  threshold: 'threshold',
  patience: 'patience',
  'keep-top': 'keep best',
  memory: 'memory (STEP)',
  budget: 'budget',
  confidence: 'confidence (DeepConf)',
} as const;

/** What each setting makes of accuracy and tokens on the questions that it was not chosen on. */
export function accuracyByTokens({ settings, vote, best }: Simulation, theme: Theme): Figure {
  const whole = settings[0]!.reporting;
  const points = (chosen: readonly Setting[]): Pick<PlotData, 'x' | 'y' | 'text'> => ({
    x: chosen.map(({ reporting }) => reporting.tokens / whole.tokens),
    y: chosen.map(({ reporting }) => reporting[vote]),
    text: chosen.map(({ policy }) => describePolicy(policy)),
  });
  const hovertemplate = '%{text}<br>%{y:.1%} right with %{x:.0%} of the tokens<extra></extra>';
  const kinds = STOPPING_KINDS.filter((kind) => settings.some(({ policy }) => policy.kind === kind));
  const clouds = kinds.map((kind): Partial<PlotData> => {
    const color = seriesColor(theme, COLORS_OF_KINDS[kind]);
    return {
      type: 'scatter',
      mode: 'markers',
      name: KIND_TITLES[kind],
      ...points(settings.filter(({ policy }) => policy.kind === kind)),
      marker: { color, size: 6, opacity: 0.55 },
      hovertemplate,
    };
  });
  const byTokens = (a: Setting, b: Setting): number => a.reporting.tokens - b.reporting.tokens;
  const front = settings.filter(({ isPareto }) => isPareto).sort(byTokens);
  const fewer = settings.filter(({ policy }) => policy.kind === 'fewer' || policy.kind === 'none').sort(byTokens);
  const line = (name: string, chosen: readonly Setting[], style: Partial<PlotData>): Partial<PlotData> => ({
    type: 'scatter',
    mode: 'lines+markers',
    name,
    ...points(chosen),
    hovertemplate,
    ...style,
  });
  const isBest = ({ policy }: Setting): boolean => policy === best.policy;
  return {
    data: [
      ...clouds,
      line('sample fewer', fewer, {
        line: { color: theme.muted, width: 1.75, dash: 'dash' },
        marker: { color: theme.muted, size: 5 },
      }),
      line('Pareto front of the other half', front, {
        line: { color: seriesColor(theme, 0), width: 2 },
        marker: { color: seriesColor(theme, 0), size: 7 },
      }),
      line('chosen', settings.filter(isBest), {
        mode: 'markers',
        marker: { color: theme.background, size: 14, line: { color: theme.ink, width: 3 } },
      }),
    ],
    layout: layoutWith(theme, {
      xaxis: axis(theme, {
        title: { text: 'tokens spent', standoff: 12 },
        tickformat: '.0%',
        range: [0, 1.04],
        dtick: 0.2,
      }),
      yaxis: axis(theme, { title: { text: `right by the ${vote} vote`, standoff: 12 }, tickformat: '.0%' }),
      showlegend: true,
    }),
  };
}

/** By place in the theme; the first and the last are the lines'. */
const COLORS_OF_KINDS = { threshold: 1, patience: 2, 'keep-top': 3, memory: 4, confidence: 5, budget: 6 } as const;

/** AUC of the mean over the first part of a trace's steps. */
export function aucByFraction({ auc_by_fraction: byFraction }: Evaluation, theme: Theme): Figure {
  // An object's own order has whole numbers first.
  const fractions = Object.keys(byFraction).sort((a, b) => Number(a) - Number(b));
  const line = (key: 'within_question' | 'pooled', title: string, color: number): Partial<PlotData> => {
    const figures = fractions.map((fraction) => byFraction[fraction]![key]);
    return {
      type: 'scatter',
      mode: 'lines+markers',
      name: title,
      x: fractions.map(Number),
      y: figures.map(({ value }) => value),
      error_y: {
        type: 'data',
        symmetric: false,
        array: figures.map(({ value, ci95 }) => (ci95?.[1] ?? 0) - (value ?? 0)),
        arrayminus: figures.map(({ value, ci95 }) => (value ?? 0) - (ci95?.[0] ?? 0)),
        thickness: 1.25,
        width: 4,
      },
      text: figures.map(({ ci95 }) => (ci95 ? `[${ci95[0].toFixed(3)}, ${ci95[1].toFixed(3)}]` : '')),
      line: { color: seriesColor(theme, color), width: 2.5 },
      marker: { size: 8, symbol: color === 0 ? 'circle' : 'square' },
      hovertemplate: '%{y:.3f} %{text}',
    };
  };
  return {
    data: [
      dashedLine('chance', { x: [0, 1.1], y: [0.5, 0.5] }, theme),
      line('within_question', 'within questions', 0),
      line('pooled', 'over all traces', 1),
    ],
    layout: layoutWith(theme, {
      xaxis: fractionAxis(theme, fractions),
      yaxis: axis(theme, { title: { text: 'AUC', standoff: 12 }, tickformat: '.2f' }),
      hovermode: 'x unified',
      showlegend: true,
    }),
  };
}

const SYMBOLS = ['circle', 'square', 'diamond', 'triangle-up', 'triangle-down', 'cross'] as const;

/** AUC within questions, of the scorer and of each measure of confidence, by the part of the trace. */
export function aucByMeasure({ auc_by_fraction, confidence }: Evaluation, theme: Theme): Figure {
  const studied = confidence ? inTitles(confidence.measures) : [];
  const lines = [
    { title: 'scorer', byFraction: auc_by_fraction },
    ...studied.map(({ title, figures }) => ({ title, byFraction: figures.auc_by_fraction })),
  ];
  const fractions = Object.keys(auc_by_fraction).sort((a, b) => Number(a) - Number(b));
  return {
    data: lines.map(({ title, byFraction }, i): Partial<PlotData> => {
      const figures = fractions.map((fraction) => byFraction[fraction]!.within_question);
      return {
        type: 'scatter',
        mode: 'lines+markers',
        name: title,
        x: fractions.map(Number),
        y: figures.map(({ value }) => value),
        text: figures.map(({ ci95 }) => (ci95 ? `[${ci95[0].toFixed(3)}, ${ci95[1].toFixed(3)}]` : '')),
        line: { color: seriesColor(theme, i), width: i === 0 ? 2.75 : 1.5 },
        marker: { size: 7, symbol: SYMBOLS[i]! },
        hovertemplate: '%{y:.3f} %{text}',
      };
    }),
    layout: layoutWith(theme, {
      xaxis: fractionAxis(theme, fractions),
      yaxis: axis(theme, { title: { text: 'AUC within questions', standoff: 12 }, tickformat: '.2f' }),
      hovermode: 'x unified',
      showlegend: true,
    }),
  };
}

function fractionAxis(theme: Theme, fractions: readonly string[]): Partial<LayoutAxis> {
  return axis(theme, {
    title: { text: 'part of the steps seen', standoff: 12 },
    tickformat: '.0%',
    range: [0.15, 1.1],
    tickvals: fractions.map(Number),
    showgrid: false,
  });
}

/** Share of right traces against trace score. */
export function traceReliability({ calibration: { bins } }: Evaluation, theme: Theme): Figure {
  const filled = bins.flatMap(({ mean_score: score, accuracy: observed, traces }) =>
    score === null || observed === null ? [] : [{ score, observed, count: traces }],
  );
  const titles = { unit: 'traces', scoreTitle: 'trace score', shareTitle: 'share of right traces' };
  return reliabilityDiagram(filled, titles, theme);
}

function interval({ ci95 }: Estimate): string {
  return ci95 ? `[${(100 * ci95[0]).toFixed(1)}, ${(100 * ci95[1]).toFixed(1)}]` : '';
}
