import type { Theme } from '@scorer/core/report';
import { dashedLine, type Figure, layoutWith, seriesColor, unitAxis } from './chart-style.js';
import type { ReliabilityBin } from './curves.js';

/** The smallest and the largest marker, in pixels. */
const MARKER = { min: 6, max: 22 };

/**
 * Share of right ones against score; the area of a marker grows with what is in its bin.
 * @param unit what is counted: `steps`, `traces`
 */
export function reliabilityDiagram(
  bins: readonly ReliabilityBin[],
  { unit, scoreTitle, shareTitle }: { unit: string; scoreTitle: string; shareTitle: string },
  theme: Theme,
): Figure {
  const largest = Math.max(...bins.map(({ count }) => count), 1);
  return {
    data: [
      dashedLine('perfectly calibrated', { x: [0, 1], y: [0, 1] }, theme),
      {
        type: 'scatter',
        mode: 'lines+markers',
        name: 'scorer',
        x: bins.map(({ score }) => score),
        y: bins.map(({ observed }) => observed),
        text: bins.map(({ count }) => count.toLocaleString('en-US')),
        cliponaxis: false,
        line: { color: seriesColor(theme, 0), width: 2 },
        marker: {
          size: bins.map(({ count }) => Math.max(MARKER.max * Math.sqrt(count / largest), MARKER.min)),
          color: seriesColor(theme, 0),
          line: { color: theme.background, width: 1.5 },
          opacity: 1,
        },
        hovertemplate: `mean score %{x:.3f}<br>right %{y:.1%}<br>%{text} ${unit}<extra></extra>`,
      },
    ],
    layout: layoutWith(theme, { xaxis: unitAxis(theme, scoreTitle), yaxis: unitAxis(theme, shareTitle) }),
  };
}
