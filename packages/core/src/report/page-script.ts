/** The page's program: draws each chart in the appearance that the reader's system has, and again when that changes. */
export const PAGE_SCRIPT = `
'use strict';
const figures = JSON.parse(document.getElementById('figures').textContent);
const dark = matchMedia('(prefers-color-scheme: dark)');
// On a touch screen a drag scrolls the page; with a mouse it zooms, and a double click resets.
const dragmode = matchMedia('(pointer: fine)').matches ? 'zoom' : false;
const config = { responsive: true, displaylogo: false, displayModeBar: true, modeBarButtons: [['toImage', 'resetScale2d']] };
function draw() {
  for (const chart of document.querySelectorAll('[data-figure]')) {
    const { data, layout } = figures[chart.dataset.figure][dark.matches ? 'dark' : 'light'];
    const toImageButtonOptions = { format: 'svg', filename: chart.dataset.figure };
    Plotly.react(chart, data, { ...layout, dragmode }, { ...config, toImageButtonOptions });
  }
}
dark.addEventListener('change', draw);
draw();
`;
