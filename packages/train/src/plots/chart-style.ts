import type { Layout, LayoutAxis, PlotData } from 'plotly.js';
import type { Theme } from './theme.js';

/** A chart as plotly takes it: plain data, equal for equal input. */
export interface Figure {
  data: Partial<PlotData>[];
  layout: Partial<Layout>;
}

/** The first is what the pictures are drawn with; a page has it only where the reader's machine does. */
const FONT_FAMILY = 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

/** What a phone’s legend and a picture’s headline have room for, of wide letters too; a longer name loses its middle. */
const MAX_LABEL_LENGTH = 32;
const MAX_SUBTITLE_LENGTH = 60;

/** The figure with a headline of its own, for a picture that stands alone. */
export function withTitle(
  figure: Figure,
  { title, subtitle }: { title: string; subtitle: string },
  theme: Theme,
): Figure {
  const secondLine = `<span style="font-size: 15px; font-weight: 400; color: ${theme.muted}">${plainText(subtitle, MAX_SUBTITLE_LENGTH)}</span>`;
  return {
    data: figure.data,
    layout: {
      ...figure.layout,
      margin: { l: 84, r: 32, t: 114, b: 64 },
      title: {
        text: `${title}<br>${secondLine}`,
        font: { size: 22, weight: 600, color: theme.ink },
        xref: 'container',
        x: 0.025,
        xanchor: 'left',
        yref: 'container',
        y: 0.95,
        yanchor: 'top',
      },
    },
  };
}

/**
 * A name as plotly shall draw it, character by character: plotly reads `<b>`, `<a href>` and entities in any text.
 * Control characters and halves of characters become spaces; a long name is shortened in its middle.
 */
export function plainText(text: string, maxLength = MAX_LABEL_LENGTH): string {
  const characters = [...text.replace(/[\p{Cc}\p{Cs}]/gu, ' ')];
  const half = maxLength / 2;
  const shortened =
    characters.length <= maxLength ? characters : [...characters.slice(0, half), '…', ...characters.slice(-half + 1)];
  return shortened.join('').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

export function layoutWith(theme: Theme, parts: Partial<Layout>): Partial<Layout> {
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

export function axis(theme: Theme, parts: Partial<LayoutAxis>): Partial<LayoutAxis> {
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

export function unitAxis(theme: Theme, title: string): Partial<LayoutAxis> {
  return axis(theme, { title: { text: title, standoff: 12 }, range: [0, 1], dtick: 0.2, tickformat: '.1f' });
}

/** With few epochs plotly would put ticks between them. */
const MAX_TICKED_EPOCHS = 10;

export function epochAxis(theme: Theme, epochCount: number): Partial<LayoutAxis> {
  const room = Math.max(epochCount * 0.03, 0.3);
  return axis(theme, {
    title: { text: 'epoch', standoff: 12 },
    range: [1 - room, Math.max(epochCount, 1) + room],
    ...(epochCount <= MAX_TICKED_EPOCHS ? { tick0: 1, dtick: 1 } : {}),
    tickformat: 'd',
    showgrid: false,
    showline: true,
  });
}

export function seriesColor({ series }: Theme, index: number): string {
  return series[index % series.length]!;
}
