import { axis as pageAxis, layoutWith as pageLayout, type Theme } from '@scorer/core/report';
import type { Layout, LayoutAxis, PlotData } from 'plotly.js';

/** A chart as plotly takes it: plain data, equal for equal input. */
export interface Figure {
  data: Partial<PlotData>[];
  layout: Partial<Layout>;
}

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

/** As `@scorer/core/report` has them, with plotly's own types. */
export const layoutWith: (theme: Theme, parts: Partial<Layout>) => Partial<Layout> = pageLayout;
export const axis: (theme: Theme, parts: Partial<LayoutAxis>) => Partial<LayoutAxis> = pageAxis;

/** What a curve is compared with. */
export function dashedLine(
  name: string,
  { x, y }: { x: [number, number]; y: [number, number] },
  theme: Theme,
): Partial<PlotData> {
  return {
    type: 'scatter',
    mode: 'lines',
    name,
    x,
    y,
    line: { color: theme.muted, width: 1.5, dash: 'dash' },
    hoverinfo: 'skip',
    showlegend: false,
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
