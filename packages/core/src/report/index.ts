export { axis, type Figure, layoutWith } from './chart.js';
export { type Html, html } from './html.js';
export { chartCard, type Page, renderPage, tile } from './page.js';
export { DARK, LIGHT, type Theme } from './theme.js';
