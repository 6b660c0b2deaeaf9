import { describe, expect, it } from 'vitest';
import { chartCard, html, layoutWith, renderPage } from './index.js';

const HOSTILE = '</script><img src=x onerror=alert(1)>&"';

const page = () =>
  renderPage({
    kind: 'A test',
    heading: HOSTILE,
    lead: HOSTILE,
    body: html`${chartCard('one', HOSTILE, HOSTILE)}`,
    figures: { one: (theme) => ({ data: [{ name: HOSTILE }], layout: layoutWith(theme, {}) }) },
    plotlySource: 'const Plotly = {};',
  });

describe('renderPage', () => {
  it('shows text as text, whatever it holds', () => {
    expect(page()).not.toContain('<img');
    expect(page().match(/<script/g)).toHaveLength(3);
  });

  it('holds each figure in the light and the dark appearance', () => {
    const [, json] = /id="figures">(.*?)<\/script>/.exec(page())!;
    const { one } = JSON.parse(json!);
    expect(one.light.data).toEqual([{ name: HOSTILE }]);
    expect(one.light.layout.paper_bgcolor).not.toBe(one.dark.layout.paper_bgcolor);
  });

  it('lets no other script run than its own two, and loads nothing', () => {
    const [, policy] = /Content-Security-Policy" content="([^"]*)"/.exec(page())!;
    expect(policy).toMatch(/^default-src &#39;none&#39;; script-src( &#39;sha256-[\w+/=]+&#39;){2};/);
  });
});
