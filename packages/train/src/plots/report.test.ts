import { createHash } from 'node:crypto';
import { DARK, LIGHT } from '@scorer/core/report';
import { JSDOM } from 'jsdom';
import { describe, expect, it } from 'vitest';
import type { ReportDetails } from '../result.js';
import { sampleDetails, sampleJudgement, sampleRun } from './fixtures/sample-run.js';
import { readPlotlySource } from './png.js';
import { renderReport } from './report.js';

const hostile = `</script><img src=x onerror="alert('1')"><b>&amp;`;
const plotly = 'window.Plotly = { calls: [], react(chart, data, layout) { this.calls.push({ data, layout }); } };';

describe('renderReport', () => {
  it('shows the headline metrics, each beside that of a scorer that learned nothing', () => {
    const { document } = parse(report());
    const tiles = [...document.querySelectorAll('.tile')].map(({ textContent }) => textContent.trim());
    expect(tiles).toEqual([
      'AUC0.651chance: 0.500',
      'Accuracy0.607always “wrong”: 0.731',
      'F10.452always “right”: 0.424',
      'Precision0.362always “right”: 0.269',
      'Recall0.603at threshold 0.5',
      'Best epoch16of 20',
    ]);
  });

  it('shows what stands on each side of the split, and every setting', () => {
    const { document } = parse(report());
    const text = document.body.textContent;
    expect(text).toContain('14,603');
    expect(text).toContain('1,044 (26.9 %)');
    const settings = [...document.querySelectorAll('dt')].map(({ textContent }) => textContent);
    expect(settings).toEqual(expect.arrayContaining(['model', 'feature_layers', 'lr', 'pos_weight', 'seed']));
  });

  it.each([
    ['question', 0],
    ['trace', 1],
    ['step', 1],
  ] as const)('a split by %s has %i warnings', (kind, warnings) => {
    const split = { ...sampleDetails().split, kind, sharedQuestions: kind === 'question' ? 0 : 60 };
    const page = parse(report({ details: { split } }));
    expect([...page.document.querySelectorAll('[role=note]')]).toHaveLength(warnings);
  });

  it('shows the scorer beside guesses, and says where it does not beat them', () => {
    const { document } = parse(report({ details: { judgement: sampleJudgement } }));
    const [table] = [...document.querySelectorAll('table')];
    const rows = [...table!.querySelectorAll('tbody tr')];
    expect(rows.map((row) => [...row.querySelectorAll('th, td')].map(({ textContent }) => textContent))).toEqual([
      ['scorer', '0.651', '0.540'],
      ['scorer, mean of a trace', '0.700', '0.600'],
      ['trace length alone', '0.600', '0.560'],
      ['step position alone', '0.520', '0.510'],
      ['question length alone', '0.530', '0.500'],
    ]);
    const warning = document.querySelector('[role=note]')!.textContent;
    expect(warning).toContain('trace length, AUC 0.5600 within questions');
    expect(warning).not.toContain('step position');
  });

  it('shows hostile names as text', () => {
    const config = { ...sampleDetails().config, model: hostile };
    const page = report({ name: hostile, details: { config } });
    const { document } = parse(page);
    expect(document.querySelector('h1')!.textContent).toBe(hostile);
    expect([...document.querySelectorAll('dd')][0]!.textContent).toBe(hostile);
    expect([...document.querySelectorAll('script')]).toHaveLength(3);
    expect([...document.querySelectorAll('img, b')]).toHaveLength(0);
  });

  it('refers to nothing outside itself, and its policy allows no more than its own scripts', async () => {
    const { document } = parse(report({ plotlySource: await readPlotlySource() }));
    expect([...document.querySelectorAll('[src], [href], [action], [data], object, iframe, link')]).toHaveLength(0);
    expect(document.querySelector('style')!.textContent).not.toMatch(/url\(|@import/);
    const policy = document.querySelector('meta[http-equiv]')!.getAttribute('content')!;
    expect(policy).toContain("default-src 'none'");
    const programs = [...document.querySelectorAll('script:not([type])')].map(({ textContent }) => textContent);
    const hashes = programs.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`);
    expect(policy).toContain(`script-src ${hashes.join(' ')};`);
  });

  it('draws five charts when opened, and again when the reader’s system turns dark', () => {
    let turnDark = () => {};
    const scheme = { matches: false, addEventListener: (_: string, listener: () => void) => (turnDark = listener) };
    const { window } = new JSDOM(report({ name: hostile }), {
      runScripts: 'dangerously',
      beforeParse: (page) => Object.assign(page, { matchMedia: () => scheme }),
    });
    const calls = () => (window as unknown as { Plotly: { calls: { layout: object }[] } }).Plotly.calls;
    expect(calls()).toHaveLength(5);
    expect(calls()[0]!.layout).toMatchObject({ paper_bgcolor: LIGHT.background });
    scheme.matches = true;
    turnDark();
    expect(calls()).toHaveLength(10);
    expect(calls()[5]!.layout).toMatchObject({ paper_bgcolor: DARK.background });
    window.close();
  });

  it('says that training stopped early', () => {
    const { perEpoch, lossCurve } = sampleRun();
    const page = renderReport(
      sampleRun({ perEpoch: perEpoch.slice(0, 12), lossCurve: lossCurve.slice(0, 12) }),
      sampleDetails(),
      plotly,
    );
    expect(page).toContain('of 12, stopped early');
  });
});

function report({
  name = 'qwen3_4b_default',
  details = {} as Partial<ReportDetails>,
  plotlySource = plotly,
} = {}): string {
  return renderReport(sampleRun({ name }), sampleDetails(details), plotlySource);
}

function parse(page: string) {
  return new JSDOM(page).window;
}
