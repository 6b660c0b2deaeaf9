/** The pages of `scorer-train train` and `sweep` in a real browser. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromium, openBrowser } from '../../tools/chromium.mjs';
import { scoredTraces, writeShards } from '../../tools/scored-traces.mjs';

const CLI = fileURLToPath(new URL('../../packages/train/bin/scorer-train.js', import.meta.url));
const LOOKS = [
  { name: 'light', width: 1280, dark: false },
  { name: 'dark', width: 1280, dark: true },
  { name: 'on a phone', width: 390, dark: false },
];

let folder: string;

describe.skipIf(!chromium)('in Chromium (skipped where there is none)', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'training-report-'));
    await writeShards(join(folder, 'hs'), scoredTraces({ traces: 160, perQuestion: 8, steps: 6 }));
    for (const command of [['train'], ['sweep']]) {
      const options = ['--train-dir', 'hs', '--config-name', command[0]!, '--epochs', '2', '--quiet'];
      const { status, stderr } = spawnSync(process.execPath, [CLI, ...command, ...options], {
        cwd: folder,
        encoding: 'utf8',
      });
      expect(status, stderr).toBe(0);
    }
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  describe.each(['plots/train/report.html', 'plots/sweep/sweep.html'])('%s', (page) => {
    it.each(LOOKS)('draws every chart, fits the window, asks for nothing and reports no error: $name', async (look) => {
      const browser = await openBrowser(look);
      try {
        await browser.open(join(folder, page));
        const charts = await browser.evaluate(`document.querySelectorAll('.chart').length`);
        expect(charts).toBeGreaterThan(0);
        for (let i = 0; i < charts; i++) {
          await browser.evaluate(`document.querySelectorAll('.chart')[${i}].scrollIntoView()`);
          await browser.waitFor(`document.querySelectorAll('.chart')[${i}].querySelector('.main-svg')`);
        }
        const overflow = `document.documentElement.scrollWidth - document.documentElement.clientWidth`;
        expect(await browser.evaluate(overflow)).toBe(0);

        const requests = browser.events.filter(({ method }) => method === 'Network.requestWillBeSent');
        expect(requests.map(({ params }) => new URL(params.request.url).protocol)).not.toContain('https:');
        expect(requests.map(({ params }) => new URL(params.request.url).protocol)).not.toContain('http:');
        const complaints = ['Runtime.exceptionThrown', 'Runtime.consoleAPICalled'];
        expect(browser.events.filter(({ method }) => complaints.includes(method))).toEqual([]);
      } finally {
        await browser.close();
      }
    });
  });
});
