import { createHash } from 'node:crypto';
import type { Figure } from './chart.js';
import { type Html, html, inlineJson, inlineSource } from './html.js';
import { PAGE_SCRIPT } from './page-script.js';
import { PAGE_STYLE } from './page-style.js';
import { DARK, LIGHT, type Theme } from './theme.js';

export interface Page {
  /** What kind of page it is, above the heading. */
  kind: string;
  heading: string;
  lead: string;
  body: Html;
  /** By the names that `chartCard` uses. */
  figures: Readonly<Record<string, (theme: Theme) => Figure>>;
  /** The library that draws the charts; it is inlined. */
  plotlySource: string;
  /** What a page does beyond its charts. */
  program?: PageProgram;
}

export interface PageProgram {
  /** Trusted source texts; they are inlined. */
  style: string;
  script: string;
  /** What the script reads, at the end of the page: markup that shows nothing. */
  data: Html;
}

/**
 * One page that needs nothing else. Text is shown as text, whatever it holds, and a content security policy keeps the
 * page off the network. Equal input gives equal bytes.
 */
export function renderPage({ kind, heading, lead, body, figures, plotlySource, program }: Page): string {
  const scripts = [plotlySource, PAGE_SCRIPT, ...(program ? [program.script] : [])];
  const drawn = Object.entries(figures).map(([name, draw]) => [name, { light: draw(LIGHT), dark: draw(DARK) }]);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${contentSecurityPolicy(scripts)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${heading}: ${kind}</title>
<style>${inlineSource(PAGE_STYLE + (program?.style ?? ''))}</style>
</head>
<body>
<main>
<header>
<p class="kind">${kind}</p>
<h1>${heading}</h1>
<p class="lead">${lead}</p>
</header>
<noscript><p class="card warning">The charts need JavaScript; figures and tables are complete without it.</p></noscript>
${body}
</main>
<script type="application/json" id="figures">${inlineJson(Object.fromEntries(drawn))}</script>
${program?.data ?? ''}
${scripts.map((script) => html`<script>${inlineSource(script)}</script>\n`)}</body>
</html>
`.markup;
}

/** A chart with its title and what to read from it. */
export function chartCard(name: string, title: string, caption: string): Html {
  return html`<figure class="card">
<h3>${title}</h3>
<div class="chart" data-figure="${name}" role="img" aria-label="${title}"></div>
<figcaption>${caption}</figcaption>
</figure>`;
}

/** A figure in large type, and below it what to compare it with. */
export function tile(label: string, value: string, note: string): Html {
  return html`
<div class="card tile"><div class="label">${label}</div><div class="value">${value}</div><div class="baseline">${note}</div></div>`;
}

/** Only these scripts run, and nothing is loaded from anywhere: text that slipped through as markup could do nothing. */
function contentSecurityPolicy(scripts: readonly string[]): string {
  const hashes = scripts.map((script) => `'sha256-${createHash('sha256').update(script).digest('base64')}'`);
  return `default-src 'none'; script-src ${hashes.join(' ')}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'`;
}
