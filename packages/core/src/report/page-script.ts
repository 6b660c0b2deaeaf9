/**
 * The page's program: draws each chart when it comes near the view, in the appearance that the reader's system has, and
 * again when that changes.
 */
export const PAGE_SCRIPT = `
'use strict';
const figures = JSON.parse(document.getElementById('figures').textContent);
const charts = [...document.querySelectorAll('[data-figure]')];
const dark = matchMedia('(prefers-color-scheme: dark)');
// On a touch screen a drag scrolls the page; with a mouse it zooms, and a double click resets.
const dragmode = matchMedia('(pointer: fine)').matches ? 'zoom' : false;
const config = { responsive: true, displaylogo: false, displayModeBar: true, modeBarButtons: [['toImage', 'resetScale2d']] };
const drawn = new Set();
function draw(chart) {
  const { data, layout } = figures[chart.dataset.figure][dark.matches ? 'dark' : 'light'];
  const toImageButtonOptions = { format: 'svg', filename: chart.dataset.figure };
  Plotly.react(chart, data, { ...layout, dragmode }, { ...config, toImageButtonOptions });
  drawn.add(chart);
}
const drawRest = () => charts.filter((chart) => !drawn.has(chart)).forEach(draw);
dark.addEventListener('change', () => drawn.forEach(draw));
addEventListener('beforeprint', drawRest);
if ('IntersectionObserver' in globalThis) {
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      draw(target);
    }
  }, { rootMargin: '300px' });
  charts.forEach((chart) => near.observe(chart));
} else {
  drawRest();
}
`;
