export { axis, type Figure, layoutWith } from './chart.js';
export { type Html, html, inlineJson } from './html.js';
export { chartCard, type Page, type PageProgram, renderPage, tile } from './page.js';
export { DARK, LIGHT, type Theme } from './theme.js';
