import type { Theme } from './theme.js';

/** A chart as plotly takes it: plain data, equal for equal input. https://plotly.com/javascript/reference/ */
export interface Figure {
  data: readonly object[];
  layout: object;
}

/** The first is what pictures are drawn with; a page has it only where the reader's machine does. */
const FONT_FAMILY = 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

/** A layout in the look of all pages, with further parts of the chart's own. */
export function layoutWith<Parts extends object>(theme: Theme, parts: Parts): Parts {
  return {
    font: { family: FONT_FAMILY, size: 13, color: theme.ink },
    paper_bgcolor: theme.background,
    plot_bgcolor: theme.background,
    margin: { l: 60, r: 20, t: 12, b: 52 },
    modebar: { bgcolor: 'transparent', color: theme.muted, activecolor: theme.ink },
    showlegend: false,
    legend: { orientation: 'h', x: 0, xanchor: 'left', y: 1.02, yanchor: 'bottom' },
    hoverlabel: { bgcolor: theme.background, bordercolor: theme.grid, font: { color: theme.ink } },
    dragmode: false,
    ...parts,
  };
}

/** An axis in the look of all pages, with further parts of its own. */
export function axis<Parts extends object>(theme: Theme, parts: Parts): Parts {
  return {
    gridcolor: theme.grid,
    linecolor: theme.muted,
    showline: false,
    ticks: 'outside',
    ticklen: 6,
    tickcolor: theme.grid,
    tickfont: { color: theme.muted },
    zeroline: false,
    automargin: true,
    ...parts,
  };
}
