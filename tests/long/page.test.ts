/** The page of `scorer-train report` in a real browser. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { chromium, openBrowser } from '../../tools/chromium.mjs';
import { scoredTraces, writeScores, writeShards } from '../../tools/scored-traces.mjs';

const CLI = fileURLToPath(new URL('../../packages/train/bin/scorer-train.js', import.meta.url));
const HOSTILE = '</script><script>alert(1)</script><img src="http://example.com/x.png" onerror="alert(2)">';
const SHOWN = `performance.getEntriesByName('trace shown').length`;

type Browser = Awaited<ReturnType<typeof openBrowser>>;

let folder: string;
let browser: Browser | undefined;

/** A page of traces, the first four of them hostile. */
async function makePage(name: string, size: { traces: number; perQuestion: number; steps: number }): Promise<string> {
  const traces = [...scoredTraces(size)].map((trace, i) => ({
    ...trace,
    // One question, with right and wrong traces.
    ...(i < 4 && { question: HOSTILE, extracted_answer: HOSTILE, is_correct: i % 2 === 0 }),
  }));
  const [scores, shards, page] = [`${name}.jsonl`, `${name}-hs`, `${name}.html`].map((file) => join(folder, file)) as [
    string,
    string,
    string,
  ];
  await writeScores(scores, traces);
  const stepText = ({ trace_index }: { trace_index: number }, step: number): string =>
    `Step ${step} of trace ${trace_index}. ${HOSTILE}`;
  await writeShards(shards, traces, stepText);
  const options = ['--scores', scores, '--input_dir', shards, '--output_file', page, '--quiet'];
  const { status, stderr } = spawnSync(process.execPath, [CLI, 'report', ...options], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return page;
}

async function open(page: string, options: Parameters<typeof openBrowser>[0] = {}): Promise<Browser> {
  browser = await openBrowser(options);
  await browser.open(page);
  await browser.waitFor(`${SHOWN} > 0`);
  return browser;
}

describe.skipIf(!chromium)('the page in Chromium (skipped where there is none)', () => {
  let page: string;
  let largePage: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'page-'));
    page = await makePage('small', { traces: 80, perQuestion: 4, steps: 6 });
    largePage = await makePage('large', { traces: 2000, perQuestion: 16, steps: 50 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  afterEach(async () => {
    await browser?.close();
    browser = undefined;
  });

  const text = (selector: string): string => `document.querySelector(${JSON.stringify(selector)}).textContent`;
  const activeElement = 'document.activeElement.id';

  it('shows a right and a wrong trace of one question side by side, each step with its score', async () => {
    const { evaluate } = await open(page);
    const marks = await evaluate(`[...document.querySelectorAll('.trace-head .mark')].map((mark) => mark.className)`);
    expect(marks.sort()).toEqual(['mark right', 'mark wrong']);
    expect(await evaluate(`document.querySelectorAll('#trace-left .piece.high, #trace-left .piece.low').length`)).toBe(
      6,
    );
    expect(await evaluate(text('#trace-left .piece:nth-child(3) .step-number'))).toBe('3');
    expect(await evaluate(text('#trace-left .piece:nth-child(3) .piece-text'))).toContain('Step 2 of trace');
  });

  it('lets no text become markup, asks for nothing and reports no error', async () => {
    const { evaluate, events } = await open(page);
    expect(await evaluate(text('#trace-question'))).toBe(HOSTILE);
    expect(await evaluate(text('#trace-left'))).toContain(HOSTILE);
    expect(await evaluate(`document.querySelectorAll('img, #trace-viewer script').length`)).toBe(0);
    const requests = events.filter(({ method }) => method === 'Network.requestWillBeSent');
    expect(requests.map(({ params }) => new URL(params.request.url).protocol)).toEqual(['file:']);
    const complaints = ['Page.javascriptDialogOpening', 'Runtime.exceptionThrown', 'Runtime.consoleAPICalled'];
    expect(events.filter(({ method }) => complaints.includes(method))).toEqual([]);
  });

  it('is worked by keys alone: / searches, arrows choose, left and right change the one beside it', async () => {
    const { evaluate, press, type, waitFor } = await open(page);
    await press('/');
    expect(await evaluate(activeElement)).toBe('trace-search');
    await type('Question 3:');
    await waitFor(`${text('#trace-count')} === '4 of 80 traces'`);
    await press('ArrowDown');
    expect(await evaluate(activeElement)).toBe('trace-list');

    const chosen = `document.querySelector('[aria-selected="true"]').id`;
    expect(await evaluate(chosen)).toBe('trace-12');
    await press('ArrowDown');
    expect(await evaluate(chosen)).toBe('trace-13');
    expect(await evaluate(`document.getElementById('trace-list').getAttribute('aria-activedescendant')`)).toBe(
      'trace-13',
    );
    await press('End');
    expect(await evaluate(chosen)).toBe('trace-15');

    const beside = `document.getElementById('trace-other').selectedIndex`;
    await evaluate(`document.getElementById('trace-other').selectedIndex = 0`);
    await press('ArrowRight');
    expect(await evaluate(beside)).toBe(1);
    await press('Enter');
    expect(await evaluate(activeElement)).toBe('trace-left');

    await press('/');
    await press('Escape');
    await waitFor(`${text('#trace-count')} === '80 of 80 traces'`);
  });

  it('finds words in the texts of traces', async () => {
    const { press, type, waitFor } = await open(page);
    await press('/');
    await type('of trace 77');
    await waitFor(`${text('#trace-count')} === '1 of 80 traces'`);
  });

  it('draws its charts when they come near, and again in the dark', async () => {
    const { evaluate, send, waitFor } = await open(page);
    await waitFor(`document.querySelector('[data-figure="votes"] .main-svg')`);
    const background = `getComputedStyle(document.querySelector('[data-figure="votes"] .main-svg')).backgroundColor`;
    expect(await evaluate(background)).toBe('rgb(255, 255, 255)');
    await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: 'dark' }] });
    await waitFor(`${background} === 'rgb(22, 26, 32)'`);
    await evaluate(`document.querySelector('[data-figure="reliability"]').scrollIntoView()`);
    await waitFor(`document.querySelector('[data-figure="reliability"] .main-svg')`);
  });

  it('fits a phone: nothing but tables is wider than the window', async () => {
    const { evaluate } = await open(page, { width: 390, height: 800 });
    expect(await evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390);
  });

  it('opens with 2,000 traces in less than 2 s, and only makes the rows that can be seen', async () => {
    const openings: number[] = [];
    for (let i = 0; i < 3; i++) {
      const { evaluate, close } = await open(largePage);
      openings.push(await evaluate(`performance.getEntriesByName('trace shown')[0].startTime`));
      expect(await evaluate(`document.querySelectorAll('.trace-row').length`)).toBeLessThan(60);
      expect(await evaluate(text('#trace-count'))).toBe('2,000 of 2,000 traces');
      await close();
      browser = undefined;
    }
    expect(Math.min(...openings)).toBeLessThan(2000);
  });

  it('jumps to the last of 2,000 traces and shows it', async () => {
    const { evaluate, press, waitFor } = await open(largePage);
    await evaluate(`document.getElementById('trace-list').focus()`);
    await press('End');
    await waitFor(`${text('#trace-left')}.includes('of trace 1999.')`);
  });
});
